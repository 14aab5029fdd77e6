"""image_files.*: small picture files of many kinds, and what ComfyUI's LoadImage makes of them.

The files stand in the JSON in base64. `most` and `mean` of a case are how far another decoder may
be off: at most, and on average, in steps of 8 bits.
"""

from common import arguments, write

options = arguments()

import base64  # noqa: E402
import io  # noqa: E402
import struct  # noqa: E402
import tempfile  # noqa: E402
import zlib  # noqa: E402
from pathlib import Path  # noqa: E402

import folder_paths  # noqa: E402
import nodes  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from PIL import Image, ImageCms  # noqa: E402

cases, tensors = [], {}
# ComfyUI pads widths that 32 does not divide before it decodes some formats, and fails on tiny ones.
HEIGHT, WIDTH = 10, 32


def waves(channels, levels=255, phase=0.0):
    """Smooth, so that lossy formats keep it."""
    y, x, c = numpy.meshgrid(range(HEIGHT), range(WIDTH), range(channels), indexing="ij")
    values = numpy.sin(y / 5 + phase) * numpy.cos(x / (4 + c) + c) / 2 + 0.5
    return (values * levels).round()


def picture(mode, phase=0.0):
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    values = waves(channels, phase=phase).astype(numpy.uint8)
    return Image.fromarray(values[:, :, 0] if channels == 1 else values, mode=mode)


def encoded(image, format, **settings):
    stream = io.BytesIO()
    image.save(stream, format, **settings)
    return stream.getvalue()


def png16(channels):
    """Pillow writes no 16-bit colour."""
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    values = waves(channels, 65535).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def oriented(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def frames(mode):
    return [picture(mode, phase) for phase in (0.0, 0.7, 1.9)]


def compact(values):
    """As bytes where those say it all."""
    bytes_ = (values * 255).round().to(torch.uint8)
    return bytes_ if torch.equal(bytes_.float() / 255, values) else values


def record(name, data, most=0, mean=0):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data)
        folder_paths.set_input_directory(folder)
        image, mask = nodes.LoadImage().load_image(name)
    tensors[f"{name}.image"], tensors[f"{name}.mask"] = compact(image), compact(mask)
    cases.append({"name": name, "most": most, "mean": mean,
                  "file": base64.b64encode(data).decode()})


def quantised(mode):
    return picture(mode).quantize(16, method=Image.Quantize.FASTOCTREE)


rgb, rgba = picture("RGB"), picture("RGBA")
several = dict(save_all=True, append_images=frames("RGB")[1:])
# FFmpeg, through which ComfyUI reads, takes 255 in some formats for 65280/65535, a step too dark.
step = dict(most=1.1, mean=0.6)
record("rgb.png", encoded(rgb, "PNG"))
record("rgba.png", encoded(rgba, "PNG"))
record("grey.png", encoded(picture("L"), "PNG"), **step)
record("grey-alpha.png", encoded(picture("LA"), "PNG"), **step)
record("bilevel.png", encoded(picture("L").convert("1"), "PNG"))
record("palette.png", encoded(quantised("RGB"), "PNG"))
record("palette-alpha.png", encoded(quantised("RGBA"), "PNG"))
record("colour-key.png", encoded(rgb, "PNG", transparency=tuple(rgb.getpixel((3, 4)))))
record("grey-16.png", png16(1))
record("grey-alpha-16.png", png16(2))
record("rgb-16.png", png16(3), most=0.1, mean=0.02)
record("rgba-16.png", png16(4), most=0.1, mean=0.02)
record("profile.png", encoded(rgb, "PNG", icc_profile=ImageCms.ImageCmsProfile(
    ImageCms.createProfile("sRGB")).tobytes()))
record("orientation-6.png", encoded(rgb, "PNG", exif=oriented(6)))
for orientation in (3, 6, 8):
    record(f"orientation-{orientation}.jpg",
           encoded(rgb, "JPEG", quality=95, subsampling=0, exif=oriented(orientation)), 2, 0.1)
record("colour.jpg", encoded(rgb, "JPEG", quality=95, subsampling=0), 2, 0.1)
record("subsampled.jpg", encoded(rgb, "JPEG", quality=95), 16, 3)
record("grey.jpg", encoded(picture("L"), "JPEG", quality=95), 2, 0.6)
record("lossless.webp", encoded(rgba, "WEBP", lossless=True, exact=True), **step)
record("lossy.webp", encoded(rgb, "WEBP", quality=95), 3, 1)
record("animated.webp", encoded(frames("RGB")[0], "WEBP", lossless=True, **several))
record("still.gif", encoded(quantised("RGB"), "GIF"), **step)
record("animated.gif", encoded(frames("RGB")[0], "GIF", **several), **step)
record("rgb.tiff", encoded(rgb, "TIFF"))
record("pages.tiff", encoded(frames("RGB")[0], "TIFF", **several))
record("rgba.tiff", encoded(rgba, "TIFF", compression="tiff_lzw"))
record("rgb.bmp", encoded(rgb, "BMP"), **step)
record("palette.bmp", encoded(quantised("RGB"), "BMP"))
about = {"outputs": "the file's name with .image and .mask: tensors of the .safetensors file"}
write(options, "image_files", about, cases, tensors)
