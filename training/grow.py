"""Starts a network with more layers from a file of one with fewer: it draws the same pictures at first.

`grow.py --from comfymesh-shapes.safetensors --state FOLDER --merges bpe_simple_vocab_16e6.txt.gz`

Layers that the file lacks pass on what they are given: the last convolution of a residual block and the
last projection of attention begin at zero anyway, and what joins a block with a skip leaves the skip out.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from clip_tokens import Tokenizer
from model import CHANNEL_MULT, RES_BLOCKS
from muon import MuonAdamW
from train import Painter, ShortVocabulary, save

TEXT_FILE = "cond_stage_model.transformer.text_model."
UNET_FILE = "model.diffusion_model."
VAE_FILE = "first_stage_model."
TOKENS = "text.embeddings.token_embedding.weight"


def block_numbers(before: tuple[int, ...]) -> dict[str, str]:
    """Where each input and output block of a UNet with `before` residual blocks a level is found now."""
    numbers = {"input_blocks.0": "input_blocks.0"}
    old = new = 1
    levels = range(len(CHANNEL_MULT))
    for level in levels:
        for index in range(before[level]):
            numbers[f"input_blocks.{old + index}"] = f"input_blocks.{new + index}"
        old, new = old + before[level], new + RES_BLOCKS[level]
        if level + 1 < len(CHANNEL_MULT):
            numbers[f"input_blocks.{old}"] = f"input_blocks.{new}"
            old, new = old + 1, new + 1
    old = new = 0
    for level in reversed(levels):
        # The last one of a level also has what leads to the next, and the skip from before the level's blocks.
        for index in range(before[level]):
            numbers[f"output_blocks.{old + index}"] = f"output_blocks.{new + index}"
        old, new = old + before[level], new + RES_BLOCKS[level]
        numbers[f"output_blocks.{old}"] = f"output_blocks.{new}"
        old, new = old + 1, new + 1
    return numbers


def renamed(name: str, numbers: dict[str, str], names: set[str]) -> str:
    block = re.match(r"(input|output)_blocks\.\d+", name)
    if block is None:
        return name
    moved = numbers[block[0]] + name[block.end() :]
    # What leads to the next level comes last, also behind attention that is new.
    return moved if moved in names else moved.replace(".1.conv.", ".2.conv.")


def layers_of(names: list[str]) -> tuple[int, ...]:
    """How many residual blocks a level a UNet has, by the names of its tensors."""
    inputs = 1 + max(int(re.match(r"input_blocks\.(\d+)", name)[1]) for name in names if name.startswith("input_blocks"))
    counts, current = [], 0
    for index in range(1, inputs):
        if f"input_blocks.{index}.0.op.weight" in names:
            counts.append(current)
            current = 0
        else:
            current += 1
    return (*counts, current)


@torch.no_grad()
def pass_on(painter: Painter, known: set[str]) -> None:
    """Makes residual blocks of the output side that the file lacks hand on what came from below."""
    for index, block in enumerate(painter.unet.output_blocks):
        joint = getattr(block[0], "skip_connection", None)
        if f"unet.output_blocks.{index}.0.skip_connection.weight" in known or not hasattr(joint, "weight"):
            continue
        outputs = joint.weight.shape[0]
        joint.weight.zero_()
        joint.weight[:, :outputs, 0, 0] = torch.eye(outputs)
        joint.bias.zero_()


def grown(file: dict[str, Tensor], vocabulary: ShortVocabulary) -> Painter:
    painter = Painter(len(vocabulary))
    unet = {name.removeprefix(UNET_FILE): value for name, value in file.items() if name.startswith(UNET_FILE)}
    numbers = block_numbers(layers_of(list(unet)))
    names = set(painter.unet.state_dict())
    weights = {f"unet.{renamed(name, numbers, names)}": value for name, value in unet.items()}
    weights |= {f"text.{name.removeprefix(TEXT_FILE)}": value for name, value in file.items() if name.startswith(TEXT_FILE)}
    weights[TOKENS] = torch.cat([torch.zeros(1, weights[TOKENS].shape[1]), weights[TOKENS][vocabulary.tokens]])
    missing, unexpected = painter.load_state_dict(weights, strict=False)
    if unexpected:
        raise SystemExit(f"the file has layers that have no place: {', '.join(unexpected)}")
    pass_on(painter, set(weights))
    print(f"{len(weights)} tensors from the file, {len(missing)} new ones")
    return painter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="file", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder for the training state")
    parser.add_argument("--merges", type=Path, required=True, help="bpe_simple_vocab_16e6.txt.gz")
    arguments = parser.parse_args()
    file = {name: value.float() for name, value in load_file(arguments.file).items()}
    vocabulary = ShortVocabulary(Tokenizer(arguments.merges))
    painter = grown(file, vocabulary)
    arguments.state.mkdir(parents=True, exist_ok=True)
    weights = painter.state_dict()
    save(arguments.state / "unet.pt", {"model": weights, "optimiser": MuonAdamW(painter, 1e-3).state_dict(),
                                       "average": weights, "tokens": vocabulary.tokens, "began": 0.0, "step": 0})
    vae = {name.removeprefix(VAE_FILE): value for name, value in file.items() if name.startswith(VAE_FILE)}
    save(arguments.state / "vae.pt", {"average": vae})


if __name__ == "__main__":
    main()
