"""samplers.*: where every sampler ends, for every scheduler, on the analytic denoiser.

Each case is one run of ComfyUI's KSampler or KSamplerAdvanced node, the whole way:
noise, noise scaling, guidance, inpainting masks, latent scaling.
"""

from common import DENOISER, analytic_model, arguments, conditioning, f32, write

options = arguments()

import torch  # noqa: E402
import nodes  # noqa: E402
import comfy.samplers  # noqa: E402

SAMPLERS = comfy.samplers.KSampler.SAMPLERS
SCHEDULERS = comfy.samplers.KSampler.SCHEDULERS

model = analytic_model()
positive, negative = conditioning(1), conditioning(-0.5)
cases, tensors = [], {}


def picture(batch, height, width):
    """A latent that stands for an encoded picture."""
    b, c, y, x = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float32) for n in (batch, 4, height, width)), indexing="ij"
    )
    return 5 * torch.sin(0.5 * c + 0.3 * y - 0.2 * x + b)


def soft_mask():
    """A 64x64 mask: a ramp, with a block of ones and a block of zeros."""
    mask = torch.linspace(0, 1, 64)[None, None, :].repeat(1, 64, 1)
    mask[:, 8:40, 8:24] = 1
    mask[:, 32:60, 40:60] = 0
    return mask


tensors["latent.zeros"] = torch.zeros(1, 4, 8, 8)
tensors["latent.zeros2"] = torch.zeros(2, 4, 8, 6)
tensors["latent.picture"] = picture(1, 8, 8)
tensors["latent.picture2"] = picture(2, 8, 6)
tensors["mask.soft"] = soft_mask()


def run(group, latent, mask=None, trace=False, batch_index=None, **inputs):
    value = {"samples": tensors[f"latent.{latent}"].clone()}
    if mask:
        value = nodes.SetLatentNoiseMask().set_mask(value, tensors[f"mask.{mask}"])[0]
    if batch_index:
        value["batch_index"] = batch_index
    node = nodes.KSamplerAdvanced() if "noise_seed" in inputs else nodes.KSampler()
    model.model.calls.clear()
    result = node.sample(
        model=model, positive=positive, negative=negative, latent_image=value, **inputs
    )[0]["samples"]
    name = f"{group}.{inputs['sampler_name']}.{inputs['scheduler']}"
    assert name not in tensors, name
    assert result.isfinite().all() or inputs["scheduler"] == "kl_optimal", name
    tensors[name] = result
    case = {"name": name, "node": type(node).__name__, "latent": latent, **inputs}
    for key in ("seed", "noise_seed"):
        if key in case:
            case[key] = str(case[key])
    if mask:
        case["mask"] = mask
    if batch_index:
        case["batch_index"] = batch_index
    if trace:
        case["evaluations"] = f32([sigma for sigma, _ in model.model.calls])
    cases.append(case)


for sampler in SAMPLERS:
    for scheduler in SCHEDULERS:
        common = dict(sampler_name=sampler, scheduler=scheduler)
        run("plain", "zeros", seed=42, steps=7, cfg=4.0, denoise=1.0,
            trace=scheduler == "karras", **common)

    common = dict(sampler_name=sampler, scheduler="normal")
    run("batch", "zeros2", seed=2**32 + 5, steps=4, cfg=4.0, denoise=1.0, **common)
    run("one", "zeros", seed=7, steps=1, cfg=2.5, denoise=1.0, trace=True, **common)
    run("two", "zeros", seed=8, steps=2, cfg=2.5, denoise=1.0, trace=True, **common)
    run("unguided", "zeros", seed=9, steps=5, cfg=1.0, denoise=1.0, **common)

    common = dict(sampler_name=sampler, scheduler="simple")
    run("img2img", "picture", seed=2**64 - 2, steps=5, cfg=4.0, denoise=0.6, **common)

    common = dict(sampler_name=sampler, scheduler="karras")
    run("inpaint", "picture", mask="soft", seed=3, steps=5, cfg=4.0, denoise=0.8, **common)
    run("inpaint_full", "picture2", mask="soft", seed=4, steps=5, cfg=4.0, denoise=1.0, **common)

    advanced = dict(cfg=4.0, steps=9, **common)
    run("first_part", "zeros", add_noise="enable", noise_seed=11, start_at_step=0, end_at_step=4,
        return_with_leftover_noise="enable", **advanced)
    run("middle_part", "picture", add_noise="disable", noise_seed=12, start_at_step=2,
        end_at_step=6, return_with_leftover_noise="disable", **advanced)
    run("last_part", "picture", add_noise="enable", noise_seed=13, start_at_step=5,
        end_at_step=10000, return_with_leftover_noise="disable", **advanced)

run("batch_index", "zeros2", batch_index=[3, 1], seed=5, steps=4, cfg=4.0, denoise=1.0,
    sampler_name="euler_ancestral", scheduler="normal")

about = {
    "what": "the samples that the node returns, as it returns them (after the division by the"
    " latent scale 0.18215)",
    "denoiser": DENOISER,
    "guidance": "negative + (positive - negative) * cfg; at cfg 1 the negative is not evaluated",
    "latent_scale": "a latent that is not all zeros is multiplied by 0.18215 on the way in",
    "mask": "set by SetLatentNoiseMask; ComfyUI resizes it to the latent (bilinear)",
    "seed": "as text: one is larger than 2^53",
    "evaluations": "the sigma of each model call, in order (positive and negative together)",
}
write(options, "samplers", about, cases, tensors)
