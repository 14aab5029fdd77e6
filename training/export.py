"""Writes the trained networks as one Stable Diffusion 1.x file, in half precision.

`export.py --state FOLDER --out comfymesh-shapes.safetensors`
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from latents import rgb_factors
from model import TEXT_WIDTH, VOCABULARY, Checkpoint

LARGEST_FILE = 20_000_000  # bytes: small enough to live in the repository


def full_vocabulary(short: Tensor, tokens: list[int]) -> Tensor:
    """(K + 1, W) rows of the training vocabulary -> (49408, W), zero for words never trained."""
    table = torch.zeros(VOCABULARY, TEXT_WIDTH)
    table[tokens] = short[1:]
    return table


def gather(run: Path, painter_weights: str = "average") -> dict[str, Tensor]:
    """All tensors of the file, in single precision.

    Averaged weights are right after a long run; after a short one that ended at
    a learning rate of zero, the last ones ("model") are ahead of the average.
    """
    painter = torch.load(run / "unet.pt", weights_only=True)
    vae = torch.load(run / "vae.pt", weights_only=True)
    tensors = {}
    for name, value in painter[painter_weights].items():
        if name == "text.embeddings.token_embedding.weight":
            value = full_vocabulary(value, painter["tokens"])
        name = name.replace("unet.", "model.diffusion_model.", 1) if name.startswith("unet.") else (
            name.replace("text.", "cond_stage_model.transformer.text_model.", 1))
        tensors[name] = value
    tensors |= {f"first_stage_model.{name}": value for name, value in vae["average"].items()}
    return tensors


def metadata() -> dict[str, str]:
    factors, bias = rgb_factors()
    preview = {
        "factors": [[round(v, 5) for v in row] for row in factors.tolist()],
        "bias": [round(v, 5) for v in bias.tolist()],
    }
    return {
        "modelspec.title": "comfymesh shapes",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.license": "Apache-2.0",
        "modelspec.resolution": "256x256",
        "modelspec.description": "Draws one or two coloured shapes on a background from a prompt.",
        "comfymesh.latent_rgb": json.dumps(preview),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--painter", choices=["average", "model"], default="average", help="which weights of the UNet")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    tensors = {name: value.half().contiguous() for name, value in gather(arguments.state, arguments.painter).items()}
    temporary = arguments.out.with_suffix(".part")
    save_file(tensors, temporary, metadata())
    # Read back as any loader would: each name and each shape must fit.
    checkpoint = Checkpoint()
    checkpoint.load_state_dict({name: value.float() for name, value in load_file(temporary).items()}, strict=True)
    size = temporary.stat().st_size
    if size > LARGEST_FILE:
        raise SystemExit(f"{size} bytes is more than {LARGEST_FILE}")
    if not all(value.isfinite().all() for value in tensors.values()):
        raise SystemExit("some weights do not fit half precision")
    temporary.chmod(0o644)
    temporary.replace(arguments.out)
    print(f"{arguments.out}: {len(tensors)} tensors, {size} bytes")


if __name__ == "__main__":
    main()
