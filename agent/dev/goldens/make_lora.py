"""lora.*: which tensor each name in a LoRA file means, and adapted weights."""

import json

from common import arguments, write
from rule import fill, weight

options = arguments()

import torch  # noqa: E402
import comfy.lora  # noqa: E402
import comfy.lora_convert  # noqa: E402
import comfy.model_detection  # noqa: E402
import comfy.sd1_clip  # noqa: E402
import comfy.supported_models  # noqa: E402

UNET, TEXT = "model.diffusion_model.", "cond_stage_model."
NETWORKS = {
    case["name"]: case
    for case in json.loads((options.out / "networks.json").read_text())["cases"]
}
cases, tensors = [], {}


def model(name):
    """A small UNet of networks.json as ComfyUI's model."""
    case = NETWORKS[name]
    state = {key: weight(key, shape, case["dtype"]) for key, shape in case["shapes"].items()}
    found = comfy.model_detection.detect_unet_config(state, UNET)
    config = comfy.supported_models.SD15(found)
    config.set_inference_dtype(torch.float32, None)
    result = config.get_model(state, UNET)
    result.load_model_weights(state, UNET)
    return result


def names(key_map, prefixes):
    """From a name in a LoRA to the tensor's name in a checkpoint."""
    out = {}
    for name, key in key_map.items():
        for inside, outside in prefixes.items():
            if key.startswith(inside):
                out[name] = outside + key[len(inside):]
    return out


unet = model("unet.two-levels")
config = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=1, intermediate_size=256)
clip = comfy.sd1_clip.SD1ClipModel(dtype=torch.float32,
                                   model_options={"clip_l_model_config": config})
PREFIXES = {"diffusion_model.": UNET, "clip_l.": TEXT}
unet_map = comfy.lora.model_lora_keys_unet(unet, {})
clip_map = comfy.lora.model_lora_keys_clip(clip, {})
PARTS = tuple(UNET + part for part in ("input_blocks.1.", "middle_block.", "output_blocks.1.", "time_"))
few = {k: v for k, v in names(unet_map, PREFIXES).items() if v.startswith(PARTS)}
cases.append({"kind": "names", "network": "unet.two-levels",
              "holds": "only some blocks, in every manner", "names": few})
text_names = {k: v for k, v in names(clip_map, PREFIXES).items() if "text_projection" not in v}
cases.append({"kind": "names", "network": "text.two-layers", "names": text_names})
large = names(comfy.lora.model_lora_keys_unet(model("unet.sd1-layout"), {}), PREFIXES)
marks = ("lora_unet_down", "lora_unet_up", "lora_unet_mid", "lora_unet_conv", "lora_unet_time_emb")
large = {k: v for k, v in large.items() if k.startswith(marks)}
cases.append({"kind": "names", "network": "unet.sd1-layout",
              "holds": "only the names in the manner of diffusers, with underscores",
              "names": large})

LINEAR = "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
CONV = "input_blocks.1.0.in_layers.2.weight"
POINT = "input_blocks.1.1.proj_in.weight"
K = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q"
KC = "lora_unet_input_blocks_1_0_in_layers_2"
KP = "lora_unet_input_blocks_1_1_proj_in"
D = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
DK = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"

ADAPTATIONS = {
    "kohya linear": (LINEAR, {f"{K}.lora_up.weight": [32, 4], f"{K}.lora_down.weight": [4, 32],
                              f"{K}.alpha": 2.0}),
    "no alpha": (LINEAR, {f"{DK}.lora_up.weight": [32, 4], f"{DK}.lora_down.weight": [4, 32]}),
    "diffusers, old": (LINEAR, {f"unet.{D}.processor.to_q_lora.up.weight": [32, 4],
                                f"unet.{D}.processor.to_q_lora.down.weight": [4, 32]}),
    "diffusers, peft": (LINEAR, {f"unet.{D}.to_q.lora_A.weight": [4, 32],
                                 f"unet.{D}.to_q.lora_B.weight": [32, 4]}),
    "diffusers, peft, processor": (LINEAR, {f"unet.{D}.processor.to_q.lora_A.weight": [4, 32],
                                            f"unet.{D}.processor.to_q.lora_B.weight": [32, 4]}),
    "diffusers, lora.up": (LINEAR, {f"unet.{D}.to_q.lora.up.weight": [32, 4],
                                    f"unet.{D}.to_q.lora.down.weight": [4, 32]}),
    "plain": (LINEAR, {f"diffusion_model.{LINEAR[:-7]}.lora_up.weight": [32, 4],
                       f"diffusion_model.{LINEAR[:-7]}.lora_down.weight": [4, 32]}),
    "conv 1x1": (POINT, {f"{KP}.lora_up.weight": [32, 4, 1, 1],
                         f"{KP}.lora_down.weight": [4, 32, 1, 1], f"{KP}.alpha": 4.0}),
    "conv 1x1 by matrices": (POINT, {f"{KP}.lora_up.weight": [32, 4],
                                     f"{KP}.lora_down.weight": [4, 32]}),
    "conv 3x3": (CONV, {f"{KC}.lora_up.weight": [32, 4, 1, 1],
                        f"{KC}.lora_down.weight": [4, 32, 3, 3], f"{KC}.alpha": 1.0}),
    "conv 3x3 with a core": (CONV, {f"{KC}.lora_up.weight": [32, 4, 1, 1],
                                    f"{KC}.lora_down.weight": [4, 32, 1, 1],
                                    f"{KC}.lora_mid.weight": [4, 4, 3, 3], f"{KC}.alpha": 2.0}),
    "dora": (LINEAR, {f"{K}.lora_up.weight": [32, 4], f"{K}.lora_down.weight": [4, 32],
                      f"{K}.alpha": 2.0, f"{K}.dora_scale": [32, 1]}),
    "dora by columns": (LINEAR, {f"{K}.lora_up.weight": [32, 4], f"{K}.lora_down.weight": [4, 32],
                                 f"{K}.dora_scale": [1, 32]}),
    "dora conv": (CONV, {f"{KC}.lora_up.weight": [32, 4, 1, 1],
                         f"{KC}.lora_down.weight": [4, 32, 3, 3],
                         f"{KC}.dora_scale": [32, 1, 1, 1]}),
    "loha": (LINEAR, {f"{K}.hada_w1_a": [32, 3], f"{K}.hada_w1_b": [3, 32],
                      f"{K}.hada_w2_a": [32, 3], f"{K}.hada_w2_b": [3, 32], f"{K}.alpha": 1.5}),
    "loha conv with cores": (CONV, {f"{KC}.hada_w1_a": [3, 32], f"{KC}.hada_w1_b": [3, 32],
                                    f"{KC}.hada_t1": [3, 3, 3, 3], f"{KC}.hada_w2_a": [3, 32],
                                    f"{KC}.hada_w2_b": [3, 32], f"{KC}.hada_t2": [3, 3, 3, 3]}),
    "lokr": (LINEAR, {f"{K}.lokr_w1": [4, 4], f"{K}.lokr_w2_a": [8, 2], f"{K}.lokr_w2_b": [2, 8],
                      f"{K}.alpha": 1.0}),
    "lokr whole": (LINEAR, {f"{K}.lokr_w1": [4, 4], f"{K}.lokr_w2": [8, 8], f"{K}.alpha": 1.0}),
    "lokr conv": (CONV, {f"{KC}.lokr_w1": [4, 4], f"{KC}.lokr_w2": [8, 8, 3, 3]}),
    "difference": (LINEAR, {f"{K}.diff": [32, 32]}),
}


def lora_file(about, shapes):
    """Tensors of a LoRA: numbers are scalars (alpha), shapes are filled by rule."""
    out = {}
    for name, shape in shapes.items():
        if not isinstance(shape, list):
            out[name] = torch.tensor(shape)
        elif name.endswith("dora_scale"):
            out[name] = fill(f"{about}.{name}", shape, 0.1, 1.0)
        else:
            out[name] = fill(f"{about}.{name}", shape, 0.4)
    return out


for about, (target, shapes) in ADAPTATIONS.items():
    key = f"diffusion_model.{target}"
    patches = comfy.lora.load_lora(
        comfy.lora_convert.convert_lora(lora_file(about, shapes)), unet_map, log_missing=True
    )
    for strength in [0.7] if "dora" not in about else [1.0, 0.7]:
        name = f"{about}.{strength}"
        before = unet.state_dict()[key].clone()
        after = before
        if key in patches:
            after = comfy.lora.calculate_weight([(strength, patches[key], 1.0, None, None)],
                                                before.clone(), key)
        short = (after - before).reshape(32, -1)[:, :32]
        tensors[name] = short
        cases.append({"kind": "weight", "about": about, "strength": strength, "applies":
                      key in patches, "tensor": UNET + target, "lora": shapes, "change": name})

run = NETWORKS["unet.two-levels"]["runs"][0]
x, context = (fill(run["inputs"][k]["name"], run["inputs"][k]["shape"]) for k in ("x", "context"))
used = {}
for about in ["kohya linear", "conv 3x3", "conv 1x1"]:
    used.update(ADAPTATIONS[about][1])
patches = comfy.lora.load_lora(lora_file("together", used), unet_map)
state = unet.state_dict()
for key, patch in patches.items():
    state[key].copy_(
        comfy.lora.calculate_weight([(0.8, patch, 1.0, None, None)], state[key].clone(), key))
tensors["together"] = unet.diffusion_model(x, torch.tensor(run["timesteps"]), context=context)
cases.append({"kind": "eps", "about": "together", "network": "unet.two-levels", "run": 0,
              "strength": 0.8, "lora": used, "eps": "together"})

about = {
    "weights": "unet.two-levels of networks.json",
    "lora": "tensors by shape, filled by the rule under the name '<about>.<tensor name>' with scale"
    " 0.4 and base 0 (dora_scale: scale 0.1, base 1); a number is a scalar tensor",
    "change": "adapted weight - weight, as a matrix [out, the rest], its first 32 columns",
    "names": "what ComfyUI takes: a name in the LoRA without its suffix (.lora_up.weight, ...), and"
    " the tensor in the checkpoint",
    "applies": "false where ComfyUI ignores the LoRA (it logs 'lora key not loaded')",
}
write(options, "lora", about, cases, tensors)
