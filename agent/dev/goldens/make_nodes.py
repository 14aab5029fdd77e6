"""nodes.*: latent, image, mask and conditioning nodes on small values."""

import logging
import math

from common import DENOISER, analytic_model, arguments, conditioning, write
from rule import fill

options = arguments()

import torch  # noqa: E402
import nodes  # noqa: E402
import comfy.sd  # noqa: E402
import comfy_extras.nodes_images  # noqa: E402
import comfy_extras.nodes_mask  # noqa: E402
import comfy_extras.nodes_post_processing  # noqa: E402

logging.disable(logging.WARNING)
cases, tensors = [], {}

CLASSES = dict(nodes.NODE_CLASS_MAPPINGS)
for module in (
    comfy_extras.nodes_images, comfy_extras.nodes_mask, comfy_extras.nodes_post_processing,
):
    for value in vars(module).values():
        if isinstance(value, type) and hasattr(value, "define_schema"):
            try:
                CLASSES[value.define_schema().node_id] = value
            except Exception:
                pass


def execute(name, inputs):
    """Runs a node of either style and returns its outputs."""
    node = CLASSES[name]
    if hasattr(node, "define_schema"):
        return node.execute(**inputs).args
    return getattr(node(), node.FUNCTION)(**inputs)


def value_of(item):
    """From a case's description of an input to the value ComfyUI takes."""
    if not isinstance(item, dict):
        return item
    kind = item["type"]
    if kind in ("IMAGE", "MASK"):
        return tensors[item["tensor"]].clone()
    if kind == "LATENT":
        latent = {"samples": tensors[item["samples"]].clone()}
        if "noise_mask" in item:
            latent["noise_mask"] = tensors[item["noise_mask"]].clone()
        if "batch_index" in item:
            latent["batch_index"] = list(item["batch_index"])
        return latent
    if kind == "CONDITIONING":
        return [
            [tensors[cond].clone(), {"pooled_output": tensors[pooled].clone()} if pooled else {}]
            for cond, pooled in item["entries"]
        ]
    raise TypeError(kind)


def describe(value, name):
    """From an output to its description; its tensors are stored."""
    if isinstance(value, dict):
        tensors[f"{name}.samples"] = value["samples"]
        latent = {"type": "LATENT", "samples": f"{name}.samples"}
        if "noise_mask" in value:
            tensors[f"{name}.noise_mask"] = value["noise_mask"]
            latent["noise_mask"] = f"{name}.noise_mask"
        if "batch_index" in value:
            latent["batch_index"] = value["batch_index"]
        return latent
    if isinstance(value, list):
        entries = []
        for index, (cond, extra) in enumerate(value):
            tensors[f"{name}.{index}.cond"] = cond
            entry = {"cond": f"{name}.{index}.cond"}
            for key, item in extra.items():
                if torch.is_tensor(item):
                    tensors[f"{name}.{index}.{key}"] = item
                    item = f"{name}.{index}.{key}"
                entry[key] = item
            entries.append(entry)
        return {"type": "CONDITIONING", "entries": entries}
    tensors[name] = value
    return {"type": "MASK" if value.ndim == 3 else "IMAGE", "tensor": name}


def run(node, **inputs):
    """Records one case."""
    name = f"out.{len(cases)}"
    outputs = execute(node, {key: value_of(item) for key, item in inputs.items()})
    described = [describe(output, f"{name}.{i}") for i, output in enumerate(outputs)]
    cases.append({"node": node, "inputs": inputs, "outputs": described})


def image(name, *shape):
    """A picture in 0..1 with edges and a little noise, stored and described."""
    b, y, x, c = torch.meshgrid(*(torch.arange(n).float() for n in shape), indexing="ij")
    waves = 0.5 + 0.4 * torch.sin(0.9 * x + 0.6 * c + b) * torch.cos(0.5 * y - 0.3 * c)
    block = ((x // 4 + y // 3) % 3 == 0).float() * 0.25
    tensors[name] = (waves + block + 0.05 * fill(name, list(shape))).clamp(0, 1)
    return {"type": "IMAGE", "tensor": name}


def mask(name, value):
    tensors[name] = value
    return {"type": "MASK", "tensor": name}


def latent(name, *shape, **extra):
    tensors.setdefault(name, fill(name, list(shape)))
    return {"type": "LATENT", "samples": name, **extra}


def latents():
    one, two = latent("latent.one", 1, 4, 8, 10), latent("latent.two", 2, 4, 9, 8)
    three = latent("latent.three", 3, 4, 8, 8)
    tensors["latent.masks"] = fill("latent.masks", [3, 1, 8, 8]).abs().clamp(0, 1)
    for method in CLASSES["LatentUpscale"].upscale_methods:
        for crop in ["disabled", "center"]:
            run("LatentUpscale", samples=one, upscale_method=method, width=128, height=96, crop=crop)
        run("LatentUpscale", samples=two, upscale_method=method, width=64, height=72, crop="center")
        run("LatentUpscaleBy", samples=one, upscale_method=method, scale_by=0.55)
        run("LatentUpscaleBy", samples=two, upscale_method=method, scale_by=1.5)
    run("LatentUpscale", samples=one, upscale_method="bilinear", width=0, height=72, crop="disabled")
    run("LatentUpscale", samples=one, upscale_method="bilinear", width=96, height=0, crop="disabled")
    for rotation in ["none", "90 degrees", "180 degrees", "270 degrees"]:
        run("LatentRotate", samples=one, rotation=rotation)
    for method in ["x-axis: vertically", "y-axis: horizontally"]:
        run("LatentFlip", samples=one, flip_method=method)
    for x, y, width, height in [(0, 0, 64, 64), (16, 8, 64, 64), (400, 400, 128, 128), (8, 0, 128, 64)]:
        run("LatentCrop", samples=one, width=width, height=height, x=x, y=y)
    for x, y, feather in [(0, 0, 0), (16, 24, 0), (16, 24, 16), (0, 8, 24), (40, 40, 16), (24, 0, 32)]:
        run("LatentComposite", samples_to=one, samples_from=latent("latent.small", 1, 4, 5, 5),
            x=x, y=y, feather=feather)
    for factor in [0.0, 0.3, 1.0]:
        run("LatentBlend", samples1=one, samples2=latent("latent.other", 1, 4, 8, 10),
            blend_factor=factor)
    run("LatentBlend", samples1=one, samples2=latent("latent.unlike", 1, 4, 6, 5), blend_factor=0.4)
    masked = latent("latent.three", noise_mask="latent.masks", batch_index=[4, 2, 7])
    for index, length in [(0, 1), (1, 2), (2, 5), (-1, 1), (-2, 2), (9, 1)]:
        run("LatentFromBatch", samples=three, batch_index=index, length=length)
    run("LatentFromBatch", samples=masked, batch_index=1, length=2)
    run("RepeatLatentBatch", samples=two, amount=3)
    run("RepeatLatentBatch", samples=masked, amount=2)
    run("SetLatentNoiseMask", samples=one, mask=mask("mask.ramp", torch.linspace(0, 1, 24).repeat(1, 20, 1)))


def images():
    one, two = image("image.one", 1, 12, 16, 3), image("image.two", 2, 9, 7, 3)
    clear = image("image.clear", 1, 12, 16, 4)
    tensors["image.rough"] = fill("image.rough", [1, 6, 6, 3]) * 0.4 + 0.5
    for method in CLASSES["ImageScale"].upscale_methods:
        for width, height, crop in [(24, 9, "disabled"), (24, 9, "center"), (5, 20, "center")]:
            run("ImageScale", image=one, upscale_method=method, width=width, height=height, crop=crop)
        run("ImageScaleBy", image=two, upscale_method=method, scale_by=1.7)
        run("ImageScaleBy", image=two, upscale_method=method, scale_by=0.5)
    run("ImageScale", image=one, upscale_method="bilinear", width=0, height=9, crop="disabled")
    run("ImageScale", image=one, upscale_method="bicubic", width=9, height=0, crop="disabled")
    run("ImageScale", image=one, upscale_method="bicubic", width=0, height=0, crop="disabled")
    run("ImageScale", image=clear, upscale_method="lanczos", width=20, height=20, crop="disabled")
    rough = {"type": "IMAGE", "tensor": "image.rough"}
    run("ImageScale", image=rough, upscale_method="lanczos", width=9, height=9, crop="disabled")
    run("ImageInvert", image=one)
    for width, height, x, y in [(5, 4, 3, 2), (100, 100, 10, 10), (4, 4, 99, 99)]:
        run("ImageCrop", image=one, width=width, height=height, x=x, y=y)
    run("ImageBatch", image1=one, image2=two)
    run("ImageBatch", image1=one, image2=clear)
    for index, length in [(0, 1), (1, 4), (-1, 1)]:
        run("ImageFromBatch", image=two, batch_index=index, length=length)
    run("RepeatImageBatch", image=two, amount=2)
    other = image("image.other", 1, 12, 16, 3)
    for mode in ["normal", "multiply", "screen", "overlay", "soft_light", "difference"]:
        for factor in [0.5, 1.0]:
            run("ImageBlend", image1=one, image2=other, blend_factor=factor, blend_mode=mode)
    run("ImageBlend", image1=one, image2=image("image.wide", 1, 6, 20, 3), blend_factor=0.7,
        blend_mode="normal")
    run("ImageBlend", image1=clear, image2=other, blend_factor=0.5, blend_mode="screen")
    for radius, sigma in [(1, 1.0), (2, 0.5), (4, 3.0)]:
        run("ImageBlur", image=one, blur_radius=radius, sigma=sigma)
        run("ImageSharpen", image=one, sharpen_radius=radius, sigma=sigma, alpha=0.7)
    colourful = image("image.colourful", 1, 20, 24, 3)
    for colors, dither in [(4, "none"), (16, "none"), (256, "none"), (4, "floyd-steinberg"),
                           (4, "bayer-2"), (4, "bayer-4"), (16, "bayer-8"), (4, "bayer-16")]:
        run("ImageQuantize", image=colourful, colors=colors, dither=dither)
    for left, top, right, bottom, feathering in [(8, 0, 16, 8, 0), (8, 8, 0, 0, 4), (8, 8, 8, 8, 5),
                                                 (0, 0, 0, 8, 40)]:
        run("ImagePadForOutpaint", image=one, left=left, top=top, right=right, bottom=bottom,
            feathering=feathering)
    small = image("image.small", 1, 6, 5, 3)
    spot = mask("mask.spot", fill("mask.spot", [1, 9, 9]).abs().clamp(0, 1))
    for x, y in [(0, 0), (4, 3), (13, 9), (40, 40)]:
        run("ImageCompositeMasked", destination=one, source=small, x=x, y=y, resize_source=False)
        run("ImageCompositeMasked", destination=one, source=small, x=x, y=y, resize_source=False,
            mask=spot)
    run("ImageCompositeMasked", destination=one, source=small, x=3, y=2, resize_source=True, mask=spot)
    run("ImageCompositeMasked", destination=two, source=small, x=1, y=1, resize_source=False)
    run("ImageCompositeMasked", destination=clear, source=small, x=1, y=1, resize_source=False)
    run("MaskToImage", mask=spot)
    for channel in ["red", "green", "blue"]:
        run("ImageToMask", image=one, channel=channel)
    run("ImageToMask", image=clear, channel="alpha")
    for color in [0, 0xFF8000, 0xFFFFFF]:
        run("EmptyImage", width=3, height=2, batch_size=2, color=color)


def inpainting():
    """What VAEEncodeForInpaint hands to the VAE, and the mask it makes."""

    class Recorder:
        def spacial_compression_encode(self):
            return 8

        def encode(self, pixels):
            self.pixels = pixels
            return torch.zeros(pixels.shape[0], 4, pixels.shape[1] // 8, pixels.shape[2] // 8)

    pixels = image("image.inpaint", 1, 27, 35, 3)
    hole = torch.zeros(1, 18, 20)
    hole[:, 5:11, 6:13] = 1
    hole[:, 11:13, 8:10] = 0.6
    holes = {"same": torch.nn.functional.interpolate(hole[None], size=(27, 35))[0], "other": hole}
    for name, value in holes.items():
        for grow in [0, 1, 6, 7]:
            vae = Recorder()
            out = CLASSES["VAEEncodeForInpaint"]().encode(
                vae, value_of(pixels), value.clone(), grow
            )[0]
            case = f"out.{len(cases)}"
            tensors[f"{case}.pixels"] = vae.pixels
            tensors[f"{case}.noise_mask"] = out["noise_mask"]
            given = mask(f"mask.hole.{name}", value)
            cases.append({"node": "VAEEncodeForInpaint", "inputs": {"pixels": pixels, "mask": given,
                          "grow_mask_by": grow}, "encodes": f"{case}.pixels",
                          "noise_mask": f"{case}.noise_mask"})


def tiles():
    """VAEDecodeTiled on a decoder that is a formula of the tile."""

    class Decoder(torch.nn.Module):
        def decode(self, z):
            wide = z[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3)
            _, c, y, x = torch.meshgrid(*(torch.arange(n).float() for n in wide.shape), indexing="ij")
            return torch.tanh(0.4 * wide + 0.3 * torch.cos(0.09 * y + 0.05 * x + c))

    vae = comfy.sd.VAE.__new__(comfy.sd.VAE)
    vae.first_stage_model = Decoder()
    vae.vae_dtype, vae.device, vae.output_device = torch.float32, "cpu", "cpu"
    vae.upscale_ratio = 8
    vae.process_output = lambda value: value.add_(1.0).div_(2.0).clamp_(0.0, 1.0)
    latent("latent.tiles", 1, 4, 24, 21)
    latent("latent.little", 2, 4, 6, 9)
    for name, size, overlap in [("latent.tiles", 64, 16), ("latent.tiles", 64, 64),
                                ("latent.tiles", 96, 0), ("latent.tiles", 512, 64),
                                ("latent.little", 64, 16)]:
        if size < overlap * 4:
            tile, cover = size // 8, size // 4 // 8
        else:
            tile, cover = size // 8, overlap // 8
        out = vae.decode_tiled_(tensors[name].clone(), tile_x=tile, tile_y=tile, overlap=cover)
        case = f"out.{len(cases)}"
        tensors[case] = out.movedim(1, -1)[:, 2::5, 1::5]
        cases.append({"node": "VAEDecodeTiled", "inputs": {"samples": {"type": "LATENT",
                      "samples": name}, "tile_size": size, "overlap": overlap}, "holds":
                      "image[:, 2::5, 1::5, :]", "outputs": [{"type": "IMAGE", "tensor": case}]})


def conditionings():
    names = {}
    for name, tokens in [("a", 6), ("b", 6), ("short", 4), ("long", 9)]:
        tensors[f"cond.{name}"] = fill(f"cond.{name}", [1, tokens, 5])
        tensors[f"pooled.{name}"] = fill(f"pooled.{name}", [1, 5])
        names[name] = {"type": "CONDITIONING", "entries": [[f"cond.{name}", f"pooled.{name}"]]}
    both = {"type": "CONDITIONING", "entries": [["cond.a", "pooled.a"], ["cond.long", None]]}
    for to, source in [("a", "b"), ("a", "short"), ("a", "long")]:
        run("ConditioningAverage", conditioning_to=names[to], conditioning_from=names[source],
            conditioning_to_strength=0.3)
        run("ConditioningConcat", conditioning_to=names[to], conditioning_from=names[source])
    run("ConditioningAverage", conditioning_to=both, conditioning_from=names["b"],
        conditioning_to_strength=0.75)
    run("ConditioningConcat", conditioning_to=both, conditioning_from=names["b"])
    run("ConditioningCombine", conditioning_1=names["a"], conditioning_2=both)
    run("ConditioningZeroOut", conditioning=both)
    run("ConditioningSetArea", conditioning=both, width=80, height=64, x=16, y=24, strength=0.8)
    run("ConditioningSetMask", conditioning=names["a"], mask={"type": "MASK", "tensor": "mask.spot"},
        strength=0.9, set_cond_area="mask bounds")
    run("ConditioningSetTimestepRange", conditioning=names["a"], start=0.1, end=0.6)


def regions():
    """Areas, masks and time ranges, seen through three Euler steps on the analytic denoiser."""
    model = analytic_model()
    tensors["latent.field"] = torch.zeros(1, 4, 16, 20)
    tensors["latent.fields"] = torch.zeros(2, 4, 16, 20)
    _, y, x = torch.meshgrid(torch.arange(1.), torch.arange(32.), torch.arange(40.), indexing="ij")
    tensors["mask.left"] = (1.2 - x / 24).clamp(0, 1)
    tensors["mask.disc"] = ((x - 24) ** 2 + (y - 14) ** 2 < 81).float()
    tensors["mask.none"] = torch.zeros(1, 32, 40)

    def built(value, changes):
        entry = conditioning(value)
        for node, inputs in changes:
            entry = execute(node, {"conditioning": entry,
                                   **{k: value_of(v) for k, v in inputs.items()}})[0]
        return entry

    def area(x, y, width, height, strength=1.0):
        return ("ConditioningSetArea", dict(x=x, y=y, width=width, height=height, strength=strength))

    def masked(name, strength=1.0, bounds="default"):
        return ("ConditioningSetMask", {"mask": {"type": "MASK", "tensor": f"mask.{name}"},
                                        "strength": strength, "set_cond_area": bounds})

    def during(start, end):
        return ("ConditioningSetTimestepRange", dict(start=start, end=end))

    plain, other = (1, []), (0.4, [])
    no = [(-0.5, [])]
    for name, positive, negative in [
        ("area in the middle over a plain one", [plain, (2, [area(32, 24, 80, 64)])], no),
        ("area at the corner, weak", [plain, (2, [area(0, 0, 96, 64, 0.4)])], no),
        ("area beyond the edge", [plain, (2, [area(112, 96, 64, 64)])], no),
        ("two areas, nothing between", [(1, [area(0, 0, 64, 128)]), (2, [area(96, 0, 64, 128)])], no),
        ("two areas that overlap", [(1, [area(0, 0, 104, 128)]), (2, [area(64, 0, 96, 128, 2.0)])], no),
        ("area in both", [plain, (2, [area(32, 24, 80, 64)])], [(-0.5, [area(32, 24, 80, 64)])]),
        ("area in the negative only", [plain], [(-0.5, []), (-1, [area(64, 32, 64, 64)])]),
        ("soft mask", [(1, [masked("left")]), (2, [])], no),
        ("mask by strength, over a plain one", [plain, (2, [masked("disc", 3.0)])], no),
        ("mask bounds", [plain, (2, [masked("disc", 1.0, "mask bounds")])], no),
        ("mask bounds of an empty mask", [plain, (2, [masked("none", 1.0, "mask bounds")])], no),
        ("area and mask", [plain, (2, [area(40, 16, 96, 96), masked("left", 0.8)])], no),
        ("only a mask", [(1, [masked("disc")])], no),
        ("two plain ones", [plain, other], no),
        ("early and late", [(1, [during(0, 0.4)]), (2, [during(0.4, 1)])], no),
        ("only late, nothing early", [(1, [during(0.5, 1)])], no),
        ("negative only early", [plain], [(-0.5, [during(0, 0.3)])]),
    ]:
        for batch in ["field", "fields"] if name == "soft mask" else ["field"]:
            sides = [[entry for value, changes in side for entry in built(value, changes)]
                     for side in (positive, negative)]
            result = nodes.KSampler().sample(
                model=model, seed=21, steps=3, cfg=3.0, sampler_name="euler", scheduler="normal",
                positive=sides[0], negative=sides[1],
                latent_image={"samples": tensors[f"latent.{batch}"].clone()}, denoise=1.0,
            )[0]["samples"]
            key = f"out.{len(cases)}"
            tensors[key] = result
            cases.append({"node": "KSampler", "about": name, "latent": f"latent.{batch}",
                          "positive": positive, "negative": negative, "seed": 21, "steps": 3,
                          "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
                          "outputs": [{"type": "LATENT", "samples": key}]})


latents()
images()
inpainting()
tiles()
conditionings()
regions()
assert all(math.isfinite(value.sum()) for value in tensors.values())
about = {
    "what": "inputs and outputs of nodes; a value with a type names its tensors, IMAGE is"
    " [batch, height, width, channels], MASK [batch, height, width], LATENT [batch, 4, h, w]",
    "VAEEncodeForInpaint": "'encodes' are the pixels handed to the VAE (factor 8)",
    "VAEDecodeTiled": "the decoder of a tile is tanh(0.4*z[c, y//8, x//8] + 0.3*cos(0.09*y + 0.05*x"
    " + c)) with y, x pixels of the tile and c < 3, then (value + 1) / 2, clamped; the picture is"
    " the mean of three tilings (tiles of w/2 x 2h, 2w x h/2, w x h) before that last step",
    "KSampler": "conditionings of one number (k of the denoiser), changed by the nodes listed",
    "denoiser": DENOISER,
}
write(options, "nodes", about, cases, tensors)
