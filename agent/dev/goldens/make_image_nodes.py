"""image_nodes.*: what ComfyUI's picture, mask, latent and autoencoder nodes answer.

Inputs follow from their names by rule.py; only the outputs are stored. Pictures are rounded to
8 bits where a node works on pixels, so that equality can be asked for.
"""

from common import arguments, write
from rule import fill

options = arguments()

import math  # noqa: E402
import torch  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.sd  # noqa: E402
import comfy_extras.nodes_images  # noqa: E402
import comfy_extras.nodes_mask  # noqa: E402
import comfy_extras.nodes_post_processing  # noqa: E402
import nodes  # noqa: E402

cases, tensors = [], {}


def find(name):
    """The class of a node, of either generation."""
    for module in (comfy_extras.nodes_images, comfy_extras.nodes_mask,
                   comfy_extras.nodes_post_processing):
        for value in vars(module).values():
            if isinstance(value, type) and hasattr(value, "define_schema"):
                if value.define_schema().node_id == name:
                    return value
    return nodes.NODE_CLASS_MAPPINGS[name]


def answer(name, inputs):
    """The outputs of a node as a tuple."""
    node = find(name)
    if hasattr(node, "define_schema"):
        return node.execute(**inputs).result
    return getattr(node(), node.FUNCTION)(**inputs)


class Given:
    """A tensor that a test can make again: uniform noise, or smooth ramps for pictures."""

    def __init__(self, kind, name, *shape, low=0.0, high=1.0):
        self.spec = {"kind": kind, "name": name, "shape": list(shape), "low": low, "high": high}
        self.value = (ramp if kind == "ramp" else noise)(name, shape, low, high)


def noise(name, shape, low, high):
    return fill(name, shape, (high - low) / 2 / math.sqrt(3.0), (low + high) / 2)


def ramp(name, shape, low, high):
    """8-bit colours that change slowly over a picture: floor(256 * wave) / 255."""
    batch, height, width, channels = shape
    index = [torch.arange(n, dtype=torch.float64).reshape([-1 if d == i else 1 for d in range(4)])
             for i, n in enumerate(shape)]
    wave = (3 * index[1] / height + (1 + index[3]) * 2 * index[2] / width + index[0] / 3) % 2
    wave = 1 - (wave - 1).abs()
    return ((wave * 255).floor() / 255).float().expand(shape).contiguous()


def value_of(given):
    if isinstance(given, Given):
        return given.value.clone()
    if isinstance(given, dict):
        return {key: value_of(value) for key, value in given.items()}
    return given


def spec_of(given):
    if isinstance(given, Given):
        return {"tensor": given.spec}
    if isinstance(given, dict):
        return {"latent": {key: spec_of(value) for key, value in given.items()}}
    return {"constant": given}


def store(name, value):
    if torch.is_tensor(value):
        bytes_ = (value * 255).round().to(torch.uint8)
        exact = torch.equal(bytes_.float() / 255, value)
        tensors[name] = bytes_ if exact else value.float()
        return {"tensor": name}
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not k.startswith("downscale_ratio")}
        return {"latent": {key: store(f"{name}.{key}", v) for key, v in kept.items()}}
    return {"constant": value}


def record(node, extra=None, **inputs):
    """Runs a node and keeps what it says; `extra` goes to the node but not to the file."""
    name = f"{node}.{sum(case['node'] == node for case in cases)}"
    outputs = answer(node, {**{k: value_of(v) for k, v in inputs.items()}, **(extra or {})})
    cases.append({
        "name": name,
        "node": node,
        "inputs": {key: spec_of(value) for key, value in inputs.items()},
        "outputs": [store(f"{name}.{i}", value) for i, value in enumerate(outputs)],
    })


def picture(name, *shape):
    return Given("noise", name, *shape)


def latent(name, *shape, **extra):
    return {"samples": Given("noise", name, *shape, low=-3.0, high=3.0), **extra}


def scaling():
    image = picture("scaled", 2, 7, 9, 3)
    for method in nodes.ImageScale.upscale_methods:
        for width, height, crop in [(16, 12, "disabled"), (5, 3, "disabled"), (6, 14, "center"),
                                    (23, 0, "disabled"), (9, 11, "center")]:
            record("ImageScale", image=image, upscale_method=method, width=width, height=height,
                   crop=crop)
        record("ImageScaleBy", image=image, upscale_method=method, scale_by=1.7)
    record("ImageScale", image=picture("rgba", 1, 9, 8, 4), upscale_method="lanczos", width=5,
           height=12, crop="disabled")
    record("ImageScale", image=image, upscale_method="area", width=0, height=0, crop="disabled")
    samples = latent("upscaled", 2, 4, 10, 8)
    for method in nodes.LatentUpscale.upscale_methods:
        for width, height, crop in [(96, 128, "disabled"), (72, 64, "center"), (0, 112, "center")]:
            record("LatentUpscale", samples=samples, upscale_method=method, width=width,
                   height=height, crop=crop)
        record("LatentUpscaleBy", samples=samples, upscale_method=method, scale_by=0.65)


def filters():
    one, two = picture("one", 2, 9, 7, 3), picture("two", 2, 9, 7, 3)
    for mode in ["normal", "multiply", "screen", "overlay", "soft_light", "difference"]:
        record("ImageBlend", image1=one, image2=two, blend_factor=0.3, blend_mode=mode)
    record("ImageBlend", image1=one, image2=picture("small", 1, 5, 6, 3), blend_factor=0.75,
           blend_mode="multiply")
    record("ImageBlend", image1=one, image2=picture("rgba", 1, 9, 8, 4), blend_factor=0.5,
           blend_mode="normal")
    for radius, sigma in [(1, 1.0), (3, 0.4), (5, 10.0)]:
        record("ImageBlur", image=one, blur_radius=radius, sigma=sigma)
        record("ImageSharpen", image=one, sharpen_radius=radius, sigma=sigma, alpha=0.7)
    ramps, noisy = Given("ramp", "ramp", 1, 40, 48, 3), picture("noisy", 1, 18, 20, 3)
    for dither in ["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"]:
        for image, colors in [(ramps, 16), (noisy, 7), (noisy, 256), (ramps, 1), (ramps, 200)]:
            record("ImageQuantize", image=image, colors=colors, dither=dither)


def composition():
    image = picture("one", 2, 9, 7, 3)
    record("ImageInvert", image=image)
    record("ImageBatch", image1=image, image2=picture("small", 1, 5, 6, 3))
    record("ImageBatch", image1=image, image2=picture("rgba", 1, 9, 8, 4))
    record("ImageFromBatch", image=image, batch_index=-1, length=3)
    record("ImageFromBatch", image=image, batch_index=0, length=1)
    record("RepeatImageBatch", image=image, amount=3)
    record("ImageCrop", image=image, width=4, height=3, x=2, y=5)
    record("ImageCrop", image=image, width=400, height=300, x=20, y=50)
    record("EmptyImage", width=3, height=2, batch_size=2, color=0x12AB90)
    for sides in [(8, 0, 16, 8), (0, 0, 0, 8), (0, 0, 0, 0)]:
        left, top, right, bottom = sides
        for feathering in (0, 3, 40):
            record("ImagePadForOutpaint", image=image, left=left, top=top, right=right,
                   bottom=bottom, feathering=feathering)
    small, mask = picture("small", 1, 5, 6, 3), Given("noise", "mask", 2, 4, 3)
    for x, y, resize in [(2, 3, False), (5, 7, False), (1, 1, True), (50, 60, False)]:
        record("ImageCompositeMasked", destination=image, source=small, x=x, y=y,
               resize_source=resize)
        record("ImageCompositeMasked", destination=image, source=small, x=x, y=y,
               resize_source=resize, mask=mask)
    record("ImageCompositeMasked", destination=image, source=picture("rgba", 1, 9, 8, 4), x=0,
           y=0, resize_source=True)
    record("MaskToImage", mask=mask)
    for channel in ["red", "green", "blue", "alpha"]:
        record("ImageToMask", image=picture("rgba", 1, 9, 8, 4), channel=channel)


def latents():
    mask, masks = Given("noise", "mask", 2, 4, 3), Given("noise", "masks", 2, 1, 4, 3)
    plain, small = latent("plain", 3, 4, 10, 9), latent("small", 1, 4, 5, 4)
    masked = latent("plain", 3, 4, 10, 9, noise_mask=masks, batch_index=[4, 2, 9])
    single = latent("plain", 3, 4, 10, 9, noise_mask=Given("noise", "single", 1, 1, 4, 3))
    record("EmptyLatentImage", width=67, height=40, batch_size=2)
    record("SetLatentNoiseMask", samples=plain, mask=mask)
    for given in (plain, masked, single):
        record("LatentFromBatch", samples=given, batch_index=1, length=5)
        record("LatentFromBatch", samples=given, batch_index=-3, length=2)
        record("RepeatLatentBatch", samples=given, amount=2)
    for method in ["x-axis: vertically", "y-axis: horizontally"]:
        record("LatentFlip", samples=masked, flip_method=method)
    for rotation in ["none", "90 degrees", "180 degrees", "270 degrees"]:
        record("LatentRotate", samples=plain, rotation=rotation)
    for width, height, x, y in [(64, 72, 8, 16), (512, 64, 0, 80), (64, 64, 512, 0)]:
        record("LatentCrop", samples=plain, width=width, height=height, x=x, y=y)
    for x, y, feather in [(16, 8, 0), (0, 40, 16), (24, 0, 24), (40, 48, 8)]:
        record("LatentComposite", samples_to=latent("one", 1, 4, 10, 9), samples_from=small, x=x,
               y=y, feather=feather)
    record("LatentComposite", samples_to=plain, samples_from=small, x=8, y=8, feather=0)
    record("LatentBlend", samples1=plain, samples2=latent("other", 3, 4, 10, 9), blend_factor=0.3)
    record("LatentBlend", samples1=masked, samples2=small, blend_factor=0.8)


class Squares(torch.nn.Module):
    """Stands for the autoencoder. What it answers depends on where in its input a cell lies,
    so that seams show.

    decode: cell (y, x) of an h x w latent becomes 8x8 pixels whose channel i is
            latent[i] / 2 + latent[3] / 4 + sin(y + 2 x + h / w)
    encode: channel i of cell (y, x) is the mean of its 8x8 pixels in channel i mod 3, + i
    """

    def decode(self, z):
        height, width = z.shape[-2:]
        y = torch.arange(height, dtype=torch.float64).reshape(-1, 1)
        x = torch.arange(width, dtype=torch.float64)
        cells = z[:, :3] / 2 + z[:, 3:] / 4 + torch.sin(y + 2 * x + height / width).float()
        return torch.nn.functional.interpolate(cells, scale_factor=8, mode="nearest")

    def encode(self, pixels):
        means = torch.nn.functional.avg_pool2d(pixels, 8)
        return torch.cat([means, means[:, :1]], 1) + torch.arange(4.0).reshape(1, 4, 1, 1)


def make_vae():
    comfy.model_management.load_models_gpu = lambda *_, **__: None

    class Patcher:
        def get_free_memory(self, device):
            return 2**33

    vae = comfy.sd.VAE.__new__(comfy.sd.VAE)
    vae.__dict__.update(
        first_stage_model=Squares(), patcher=Patcher(), device=torch.device("cpu"),
        output_device=torch.device("cpu"), vae_dtype=torch.float32, downscale_ratio=8,
        upscale_ratio=8, latent_channels=4, output_channels=3, latent_dim=2, crop_input=True,
        process_input=lambda image: image * 2.0 - 1.0,
        process_output=lambda image: image.add_(1.0).div_(2.0).clamp_(0.0, 1.0),
        memory_used_encode=lambda *_: 1, memory_used_decode=lambda *_: 1, disable_offload=False,
        handles_tiling=False, extra_1d_channel=None, format_encoded=None, pad_channel_value=None,
        upscale_index_formula=None, downscale_index_formula=None, not_video=False, size=None,
    )
    vae.throw_exception_if_invalid = lambda: None
    vae.vae_output_dtype = lambda: torch.float32
    return vae


def autoencoders():
    vae = {"vae": make_vae()}
    mask = Given("noise", "mask", 1, 11, 9)
    record("VAEDecode", vae, samples=latent("decoded", 2, 4, 3, 2))
    for tile, overlap in [(64, 0), (64, 64), (96, 32), (512, 64)]:
        record("VAEDecodeTiled", vae, samples=latent("tiled", 1, 4, 9, 13), tile_size=tile,
               overlap=overlap, temporal_size=64, temporal_overlap=8)
    record("VAEDecodeTiled", vae, samples=latent("tiled", 2, 4, 11, 6), tile_size=64, overlap=32,
           temporal_size=64, temporal_overlap=8)
    for shape in [(2, 16, 24, 3), (1, 21, 31, 3), (1, 17, 24, 4)]:
        record("VAEEncode", vae, pixels=picture("encoded", *shape))
        for grow in (0, 1, 5, 6):
            record("VAEEncodeForInpaint", vae, pixels=picture("encoded", *shape), mask=mask,
                   grow_mask_by=grow)


scaling()
filters()
composition()
latents()
autoencoders()
about = {
    "inputs": "tensor: made by kind. noise: rule.py with scale (high - low) / 2 / sqrt(3) and base"
    " (low + high) / 2; ramp: see ramp() of agent/dev/goldens/make_image_nodes.py. latent: a LATENT's entries.",
    "autoencoder": Squares.__doc__,
    "outputs": "tensor: its name in the .safetensors file; U8 stands for its value / 255",
}
write(options, "image_nodes", about, cases, tensors)
