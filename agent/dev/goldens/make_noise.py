"""noise.*: torch's normal noise, ComfyUI's noise per batch index, the Brownian tree."""

from common import arguments, f32, write

options = arguments()

import numpy  # noqa: E402
import torch  # noqa: E402
import comfy.sample  # noqa: E402
from comfy.k_diffusion import sampling  # noqa: E402

SEEDS = [0, 1, 42, 0xFFFFFFFF, 2**32 + 5, 2**64 - 1]
SIZES = [1, 5, 15, 16, 17, 31, 32, 100, 4 * 8 * 8, 4 * 64 * 64]

cases, tensors = [], {}


def randn():
    """One fill per seed and size; of the long ones the ends and the moments."""
    for seed in SEEDS:
        for size in SIZES:
            values = torch.randn(size, generator=torch.Generator().manual_seed(seed))
            name = f"randn.{seed}.{size}"
            case = {"kind": "randn", "name": name, "seed": str(seed), "size": size}
            if size > 100:
                tensors[name] = torch.cat([values[:32], values[-32:]])
                case["holds"] = "first 32, last 32"
                case["sum"] = values.double().sum().item()
                case["sum_of_squares"] = values.double().square().sum().item()
            else:
                tensors[name] = values
            cases.append(case)
    generator = torch.Generator().manual_seed(42)
    sizes = [5, 16, 3, 17, 1, 20]
    for index, size in enumerate(sizes):
        tensors[f"sequence.{index}"] = torch.randn(size, generator=generator)
    cases.append({"kind": "sequence", "seed": "42", "sizes": sizes, "about": "consecutive fills"
                  " from one generator, tensors sequence.0, sequence.1, ..."})


def batches():
    """comfy.sample.prepare_noise, plain and by batch index."""
    for shape, indexes in [
        ([2, 4, 8, 6], None), ([3, 4, 2, 2], [0, 1, 2]), ([2, 4, 3, 3], [3, 1]),
        ([4, 4, 2, 3], [2, 0, 2, 0]), ([3, 4, 2, 2], [5, 5, 5]), ([2, 4, 1, 1], [1, 0]),
    ]:
        name = f"batch.{len(cases)}"
        tensors[name] = comfy.sample.prepare_noise(torch.zeros(shape), 123, indexes)
        cases.append({"kind": "batch", "name": name, "seed": "123", "shape": shape,
                      "batch_index": indexes})


def brownian():
    """BrownianTreeNoiseSampler, asked for a run of pairs, in order."""
    schedule = [14.614643, 7.094411, 3.1686049, 1.2741008, 0.44691858, 0.13030769, 0.029167177]
    down = list(zip(schedule, schedule[1:]))
    half = [pair for a, b in down for pair in ((a, (a * b) ** 0.5), (a, b))]
    for seed, shape, low, high, pairs, transform in [
        (0, [1, 4, 3, 3], 0.029167177, 14.614643, down, "none"),
        (42, [1, 4, 3, 3], 0.029167177, 14.614643, half, "none"),
        (42, [1, 4, 3, 3], 0.029167177, 14.614643, list(reversed(down)), "none"),
        (2**32 + 5, [2, 4, 2, 2], 0.1, 10.0, [(10.0, 5.0), (5.0, 0.1), (7.0, 6.9999), (2.0, 0.3)],
         "none"),
        (2**64 - 1, [1, 4, 2, 2], 0.0291671, 14.6146, [(14.6146, 1.0), (1.0, 0.0291671)], "none"),
        (7, [1, 1, 2, 2], 0.0291671, 14.6146, down[1:5], "minus log"),
        (8, [17], 0.5, 2.0, [(2.0, 1.25), (1.25, 0.5), (2.0, 0.5), (0.5, 2.0)], "none"),
    ]:
        x = torch.zeros(shape)
        change = (lambda s: s) if transform == "none" else (lambda s: s.log().neg())
        noise = sampling.BrownianTreeNoiseSampler(
            x, torch.tensor(low), torch.tensor(high), seed=seed, transform=change, cpu=True
        )
        name = f"brownian.{len(cases)}"
        pairs = [tuple(f32(pair)) for pair in pairs]
        tensors[name] = torch.stack([noise(torch.tensor(a), torch.tensor(b)) for a, b in pairs])
        cases.append({"kind": "brownian", "name": name, "seed": str(seed), "shape": shape,
                      "sigma_min": low, "sigma_max": high, "transform": transform, "pairs": pairs})


def seeds():
    """numpy.random.SeedSequence as torchsde asks it."""
    for seed in SEEDS:
        top = numpy.random.SeedSequence(entropy=seed, pool_size=24)
        cases.append({"kind": "seed_sequence", "entropy": str(seed), "spawn_key": [],
                      "pool_size": 24, "state": top.generate_state(3).tolist()})
        for key in [(0, 0), (0, 1), (1, 1), (5, 3), (1000000, 20)]:
            child = numpy.random.SeedSequence(entropy=seed, spawn_key=key, pool_size=24)
            cases.append({"kind": "seed_sequence", "entropy": str(seed), "spawn_key": list(key),
                          "pool_size": 24, "state": child.generate_state(4).tolist()})


randn()
batches()
brownian()
seeds()
about = {
    "randn": "torch.randn(size, generator=torch.Generator().manual_seed(seed)), f32",
    "batch": "comfy.sample.prepare_noise(zeros(shape), seed, batch_index)",
    "brownian": "BrownianTreeNoiseSampler(zeros(shape), sigma_min, sigma_max, seed, transform)"
    " called with each pair in order; the results stacked. 'minus log': transform is -log(sigma)",
    "seed_sequence": "numpy.random.SeedSequence(entropy, spawn_key, pool_size).generate_state(n)",
    "seed": "as text: some are larger than 2^53",
}
write(options, "noise", about, cases, tensors)
