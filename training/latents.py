"""What the four latent channels mean.

The latents are not learned but defined: of each cell of 8x8 pixels they hold the
mean brightness, two colour differences, and the mean of the edge field of
`draw.render`. Each is shifted and scaled to zero mean and unit variance over
the training scenes. So all three networks can be trained at once, each against
a known target, and a latent can be previewed by one 3x4 matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Rows: brightness, red - blue, green - magenta, edge field; columns: planes r, g, b, edge.
BASIS = torch.tensor(
    [
        [1 / 3, 1 / 3, 1 / 3, 0.0],
        [1 / 2, 0.0, -1 / 2, 0.0],
        [-1 / 4, 1 / 2, -1 / 4, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
# Measured over 24,000 scenes of draw.py.
MEAN = torch.tensor([0.569, 0.027, -0.008, -0.694])
DEVIATION = torch.tensor([0.256, 0.226, 0.115, 0.570])


def to_latents(planes: Tensor) -> Tensor:
    """Planes (B, 4, H, W) of mean r, g, b in [0, 1] and edge field -> latents of the same shape."""
    mixed = torch.einsum("ij,bjhw->bihw", BASIS, planes)
    return (mixed - MEAN[:, None, None]) / DEVIATION[:, None, None]


def rgb_factors() -> tuple[Tensor, Tensor]:
    """(4, 3) factors and (3,) bias: latent @ factors + bias is r, g, b in [0, 1]."""
    inverse = torch.linalg.inv(BASIS)[:3]
    return (inverse * DEVIATION).T, inverse @ MEAN
