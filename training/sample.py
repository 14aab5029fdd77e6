"""Draws prompts with an exported file, the way ComfyUI's KSampler does.

Prompts on the command line go on one contact sheet; those of `--prompts FILE`,
with their own seeds, become 00.png, 01.png, ... in a folder, for `judge.py`.

A plain reading of the algorithms of k-diffusion (euler, dpmpp_2m) and of
ComfyUI's "normal" and "karras" schedules, without any network but the file's.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from clip_tokens import Tokenizer, frame
from model import LATENT_CHANNELS, LATENT_SCALE, STEPS, Checkpoint, alphas_cumulative


def sigma_table() -> Tensor:
    """(1000,): noise per unit of picture at each step of the schedule."""
    alphas = alphas_cumulative()
    return ((1 - alphas) / alphas).sqrt()


def normal_sigmas(count: int) -> Tensor:
    """ComfyUI's "normal": steps evenly spaced from 999 to 0, then zero."""
    logs = sigma_table().log()
    steps = torch.linspace(STEPS - 1, 0, count)
    low, high = steps.floor().long(), steps.ceil().long()
    mixed = logs[low].lerp(logs[high], steps - low)
    return torch.cat([mixed.exp(), torch.zeros(1)])


def karras_sigmas(count: int, rho: float = 7.0) -> Tensor:
    table = sigma_table()
    ramp = torch.linspace(0, 1, count)
    low, high = table[0] ** (1 / rho), table[-1] ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1)])


SCHEDULES = {"normal": normal_sigmas, "karras": karras_sigmas}


class Model:
    """A file, ready to draw."""

    def __init__(self, file: Path, merges: Path) -> None:
        self.net = Checkpoint()
        self.net.load_state_dict({name: value.float() for name, value in load_file(file).items()}, strict=True)
        self.net.eval()
        self.tokenizer = Tokenizer(merges)
        self.logs = sigma_table().log()

    def text(self, prompts: list[str]) -> Tensor:
        return self.net.text(torch.tensor([frame(self.tokenizer.tokens(prompt)) for prompt in prompts]))

    def step_of(self, sigma: Tensor) -> Tensor:
        """Step of the schedule whose noise is nearest, as ComfyUI rounds it."""
        return (self.logs - sigma.log()).abs().argmin()

    def denoised(self, x: Tensor, sigma: Tensor, positive: Tensor, negative: Tensor, cfg: float) -> Tensor:
        scaled = x / (sigma**2 + 1).sqrt()
        step = self.step_of(sigma).expand(2 * len(x))
        noise = self.net.unet(torch.cat([scaled, scaled]), step, torch.cat([positive, negative]))
        with_text, without = (x - sigma * part for part in noise.chunk(2))
        return without + cfg * (with_text - without)

    def decode(self, latents: Tensor) -> np.ndarray:
        """(B, H, W, 3) bytes."""
        pixels = self.net.vae.decode(latents / LATENT_SCALE)
        pixels = ((pixels + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1)
        return (pixels * 255).round().byte().numpy()


def euler(model: Model, x: Tensor, sigmas: Tensor, *guidance) -> Tensor:
    for now, then in zip(sigmas, sigmas[1:]):
        denoised = model.denoised(x, now, *guidance)
        x = x + (x - denoised) / now * (then - now)
    return x


def dpmpp_2m(model: Model, x: Tensor, sigmas: Tensor, *guidance) -> Tensor:
    previous = None
    for i, (now, then) in enumerate(zip(sigmas, sigmas[1:])):
        denoised = model.denoised(x, now, *guidance)
        if then == 0:
            return denoised
        h = (now / then).log()
        guess = denoised
        if previous is not None:
            ratio = (sigmas[i - 1] / now).log() / h
            guess = (1 + 1 / (2 * ratio)) * denoised - 1 / (2 * ratio) * previous
        x = then / now * x - torch.expm1(-h) * guess
        previous = denoised
    return x


SAMPLERS = {"euler": euler, "dpmpp_2m": dpmpp_2m}


@torch.no_grad()
def draw(model: Model, prompts: list[str], seeds: list[int], *, steps: int = 20, cfg: float = 7.0,
         sampler: str = "euler", schedule: str = "normal", size: tuple[int, int] = (256, 256)) -> np.ndarray:
    """Pictures (B, H, W, 3) as bytes; size is (height, width)."""
    shape = (1, LATENT_CHANNELS, size[0] // 8, size[1] // 8)
    noise = torch.cat([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    sigmas = SCHEDULES[schedule](steps)
    x = noise * math.sqrt(1 + sigmas[0] ** 2)
    guidance = (model.text(prompts), model.text([""]).expand(len(prompts), -1, -1), cfg)
    latents = SAMPLERS[sampler](model, x, sigmas, *guidance)
    return np.concatenate([model.decode(part) for part in latents.split(4)])


def sheet(pictures: np.ndarray, columns: int) -> Image.Image:
    """All pictures on one, row by row."""
    count, height, width, _ = pictures.shape
    rows = -(-count // columns)
    page = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = divmod(i, columns)
        page[y * height : (y + 1) * height, x * width : (x + 1) * width] = picture
    return Image.fromarray(page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="*", metavar="PROMPT")
    parser.add_argument("--prompts", type=Path, help="prompts.json")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--merges", type=Path, required=True, help="bpe_simple_vocab_16e6.txt.gz")
    parser.add_argument("--out", type=Path, required=True, help="a picture, or with --prompts a folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg", type=float, default=7.0)
    parser.add_argument("--sampler", choices=SAMPLERS, default="euler")
    parser.add_argument("--schedule", choices=SCHEDULES, default="normal")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--columns", type=int, default=6)
    arguments = parser.parse_args()
    texts, seeds = arguments.texts, [arguments.seed + i for i in range(len(arguments.texts))]
    if arguments.prompts:
        entries = json.loads(arguments.prompts.read_text())
        texts, seeds = [entry["prompt"] for entry in entries], [entry["seed"] for entry in entries]
    pictures = draw(Model(arguments.model, arguments.merges), texts, seeds, steps=arguments.steps,
                    cfg=arguments.cfg, sampler=arguments.sampler, schedule=arguments.schedule,
                    size=(arguments.height, arguments.width))
    if not arguments.prompts:
        sheet(pictures, arguments.columns).save(arguments.out)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(arguments.out / f"{index:02d}.png")


if __name__ == "__main__":
    main()
