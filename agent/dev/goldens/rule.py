"""Numbers from names: how the goldens fill weights and inputs without storing them.

Every value follows from its tensor's name and its index, in integer arithmetic and
doubles that any language repeats exactly:

    seed  = crc32(name)
    h     = mix(seed + index * 0x9e3779b9)           modulo 2^32
    r     = (h / 2^32 * 2 - 1) * sqrt(3)             uniform, variance 1
    value = base + r * scale                         double, then rounded to f32
                                                     (and from f32 to f16 where so stored)
"""

import math
import zlib

import numpy

RULE = {
    "seed": "crc32 of the tensor's name in UTF-8",
    "hash": "h = (seed + index * 0x9e3779b9) mod 2^32; h ^= h >>> 16; h *= 0x85ebca6b;"
    " h ^= h >>> 13; h *= 0xc2b2ae35; h ^= h >>> 16 (all mod 2^32; index in row-major order)",
    "value": "base + ((h / 2^32 * 2 - 1) * sqrt(3)) * scale, in doubles, rounded to f32, then to"
    " f16 (nearest even) where the dtype is F16",
    "scale and base": "by name and rank: rank >= 2 and not an embedding: scale 1/sqrt(product of"
    " shape[1:]), base 0; '*embedding.weight': scale 0.5, base 0; '*.bias': scale 0.1, base 0;"
    " other rank 1 '*.weight' (norms): scale 0.1, base 1; inputs: scale 1, base 0",
}


def scale_and_base(name, shape):
    """The scale and base of a weight."""
    if name.endswith(".bias"):
        return 0.1, 0.0
    if name.endswith("embedding.weight"):
        return 0.5, 0.0
    if len(shape) == 1:
        return 0.1, 1.0
    return 1 / math.sqrt(math.prod(shape[1:])), 0.0


def fill(name, shape, scale=1.0, base=0.0):
    """The f32 tensor that belongs to a name."""
    import torch

    seed = zlib.crc32(name.encode())
    index = numpy.arange(math.prod(shape), dtype=numpy.uint32)
    h = index * numpy.uint32(0x9E3779B9) + numpy.uint32(seed)
    h ^= h >> numpy.uint32(16)
    h *= numpy.uint32(0x85EBCA6B)
    h ^= h >> numpy.uint32(13)
    h *= numpy.uint32(0xC2B2AE35)
    h ^= h >> numpy.uint32(16)
    r = (h.astype(numpy.float64) / 4294967296.0 * 2.0 - 1.0) * math.sqrt(3.0)
    values = (base + r * scale).astype(numpy.float32)
    return torch.from_numpy(values.reshape(shape))


def weight(name, shape, dtype="F32"):
    """A weight as stored, handed back in f32."""
    value = fill(name, shape, *scale_and_base(name, shape))
    return value.half().float() if dtype == "F16" else value
