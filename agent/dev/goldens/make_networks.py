"""networks.*: small networks of the SD1 architecture, filled by rule, and what they answer."""

from common import arguments, write
from rule import RULE, fill, weight

options = arguments()

import torch  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.sd1_clip  # noqa: E402
from comfy.ldm.models.autoencoder import AutoencoderKL  # noqa: E402
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel  # noqa: E402

UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model."
cases, tensors = [], {}


def load(module, prefix, dtype, skip=()):
    """Fills a module by rule; returns its tensors' names in a checkpoint and their shapes."""
    state = {k: v for k, v in module.state_dict().items() if k not in skip}
    shapes = {prefix + name: list(value.shape) for name, value in state.items()}
    values = {name: weight(prefix + name, value.shape, dtype) for name, value in state.items()}
    module.load_state_dict(values, strict=False)
    module.eval()
    return shapes


def record(kind, name, config, dtype, shapes, runs):
    """Stores outputs only: inputs follow from their names by the rule."""
    listed = []
    for index, (inputs, extra, outputs) in enumerate(runs):
        keys = {}
        for key, value in outputs.items():
            keys[key] = f"{name}.{index}.{key}"
            tensors[keys[key]] = value
        spread = {k: round(float(v.std()), 3) for k, v in outputs.items()}
        print(f"  {name}.{index} {extra} {spread}")
        listed.append({"inputs": inputs, **extra, "outputs": keys})
    cases.append({"kind": kind, "name": name, "config": config, "dtype": dtype, "runs": listed,
                  "shapes": shapes})


def given(name, *shape):
    return {"name": name, "shape": list(shape)}, fill(name, shape)


def unet(name, dtype, model_channels, channel_mult, num_res_blocks, depths, context, runs):
    """depths: transformer depth of each level (0: none), then of the middle."""
    *levels, middle = depths
    config = dict(
        in_channels=4, out_channels=4, model_channels=model_channels, channel_mult=channel_mult,
        num_res_blocks=[num_res_blocks] * len(channel_mult), num_heads=8, context_dim=context,
        transformer_depth=[d for d in levels for _ in range(num_res_blocks)],
        transformer_depth_middle=middle,
        transformer_depth_output=[d for d in levels for _ in range(num_res_blocks + 1)],
    )
    module = UNetModel(image_size=32, use_spatial_transformer=True, legacy=False,
                       operations=comfy.ops.disable_weight_init, **config)
    shapes = load(module, UNET, dtype)
    results = []
    for index, (batch, height, width, times, tokens) in enumerate(runs):
        x_name, x = given(f"{name}.{index}.x", batch, 4, height, width)
        c_name, c = given(f"{name}.{index}.context", batch, tokens, context)
        eps = module(x, torch.tensor(times), context=c)
        extra = {"timesteps": times}
        results.append(({"x": x_name, "context": c_name}, extra, {"eps": eps}))
    record("unet", name, config, dtype, shapes, results)


def vae(name, dtype, ch, ch_mult, num_res_blocks, sizes):
    config = dict(double_z=True, z_channels=4, resolution=256, in_channels=3, out_ch=3, ch=ch,
                  ch_mult=ch_mult, num_res_blocks=num_res_blocks, attn_resolutions=[], dropout=0.0)
    module = AutoencoderKL(ddconfig=config, embed_dim=4)
    shapes = load(module, VAE, dtype)
    factor = 2 ** (len(ch_mult) - 1)
    results = []
    for index, (batch, height, width) in enumerate(sizes):
        z_name, z = given(f"{name}.{index}.latent", batch, 4, height, width)
        i_name, image = given(f"{name}.{index}.image", batch, 3, height * factor, width * factor)
        outputs = {"decoded": module.decode(z), "mean": module.encode(image)}
        results.append(({"latent": z_name, "image": i_name}, {}, outputs))
    record("vae", name, config, dtype, shapes, results)


def text(name, dtype, width, layers, sequences):
    config = dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 64,
                  intermediate_size=width * 4, hidden_act="quick_gelu", eos_token_id=49407,
                  max_position_embeddings=77)
    module = comfy.sd1_clip.SDClipModel(textmodel_json_config=config, dtype=torch.float32,
                                        return_projected_pooled=False)
    skip = ["logit_scale", "transformer.text_projection.weight"]
    shapes = load(module, TEXT, dtype, skip)
    results = []
    for tokens in sequences:
        outputs = {}
        for stop in [None, -1, -2, -layers]:
            module.reset_clip_options()
            module.set_clip_options({"layer": stop})
            outputs["last" if stop is None else f"skip{stop}"], outputs["pooled"] = module([tokens])
        assert torch.equal(outputs["last"], outputs.pop("skip-1"))
        results.append(({}, {"tokens": tokens}, outputs))
    record("text", name, config, dtype, shapes, results)


def padded(*tokens):
    return [49406, *tokens, 49407] + [49407] * (75 - len(tokens))


unet("unet.two-levels", "F32", 32, [1, 2], 1, [1, 1, 1], 64,
     [(1, 8, 8, [981.0], 77), (2, 6, 10, [500.0, 17.0], 154), (1, 7, 9, [3.0], 77)])
unet("unet.no-attention-at-the-end", "F32", 32, [1, 2, 4], 2, [1, 1, 0, 1], 96,
     [(1, 8, 8, [999.0], 77), (2, 12, 8, [250.0, 0.0], 77), (1, 9, 13, [640.0], 77)])
unet("unet.deep-transformers", "F16", 64, [1, 2], 2, [0, 2, 2], 64,
     [(1, 8, 8, [700.0], 77), (1, 4, 12, [1.0], 231)])
unet("unet.sd1-layout", "F16", 32, [1, 2, 4, 4], 2, [1, 1, 1, 0, 1], 768,
     [(1, 16, 16, [999.0], 77), (1, 16, 24, [421.0], 77)])
vae("vae.two-levels", "F32", 32, [1, 2], 1, [(1, 8, 8), (1, 6, 10)])
vae("vae.sd1-layout", "F16", 32, [1, 1, 2, 4], 2, [(1, 6, 8)])
SENTENCE = padded(320, 736, 7651, 525, 320, 1746, 5994)
FULL = [49406] + [(i * 613) % 49000 for i in range(75)] + [49407]
text("text.two-layers", "F32", 64, 2, [SENTENCE, FULL, padded()])
text("text.three-layers", "F16", 128, 3, [SENTENCE])

about = {
    "what": "the networks compute in f32 from the stored weights; shapes names every tensor of a"
    " single-file checkpoint, filled by the rule, and an input is filled by its name likewise",
    "rule": RULE,
    "unet": "eps = UNet(x, timesteps, context): x is what the network sees, after ComfyUI's"
    " division by sqrt(sigma^2 + 1). 8 heads. Sizes that do not halve evenly are included: the"
    " upsampling goes to the size of the skip connection",
    "vae": "decoded = decoder(post_quant_conv(latent)), in -1..1 before clamping; mean = the first"
    " half of quant_conv(encoder(image)); neither has the latent scale 0.18215",
    "text": "last: after all layers and the final norm; skip-N: after all but N-1 layers (as"
    " CLIPSetLastLayer -N does), final norm applied; pooled: row of the first end token of last",
}
write(options, "networks", about, cases, tensors)
