"""Muon: momentum whose matrices are made orthogonal before each step.

After Keller Jordan (kellerjordan.github.io/posts/muon), with the step size of
Liu et al., "Muon is scalable for LLM training" (arXiv 2502.16982), which lets it
share learning rates with AdamW. It learns from clearly fewer pictures than AdamW
does, and on these small matrices costs next to nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
# Layers that touch pixels, latents or time are no inner matrices.
AT_ENDS = ("input_blocks.0.0.weight", "out.2.weight", "time_embed.0.weight", "conv_in.weight", "conv_out.weight",
           "quant_conv.weight")
# Coefficients of the quintic iteration that drives singular values towards one.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz: (K, M, N) -> nearly U V^T of each singular value decomposition."""
    x = matrix.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return (x.mT if tall else x).float()


class MuonAdamW(torch.optim.AdamW):
    """AdamW, with Muon for the inner matrices and convolutions."""

    def __init__(self, module: nn.Module, rate: float, weight_decay: float = 0.01) -> None:
        inner, outer = [], []
        for name, parameter in module.named_parameters():
            at_ends = "embedding" in name or name.endswith(AT_ENDS)
            (outer if parameter.ndim < 2 or at_ends else inner).append(parameter)
        super().__init__(outer, lr=rate, betas=(0.9, 0.99), weight_decay=weight_decay)
        self.inner = inner
        self.momenta = [torch.zeros_like(parameter) for parameter in inner]
        self.decay = weight_decay

    @torch.no_grad()
    def step(self, closure=None):
        result = super().step(closure)
        rate = self.param_groups[0]["lr"]
        by_shape: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
        for parameter, momentum in zip(self.inner, self.momenta):
            if parameter.grad is None:
                continue
            momentum.lerp_(parameter.grad, 1 - MOMENTUM)
            ahead = parameter.grad.lerp(momentum, MOMENTUM).flatten(1)
            by_shape.setdefault(tuple(ahead.shape), []).append((parameter, ahead))
        for shape, members in by_shape.items():
            scale = 0.2 * max(shape) ** 0.5  # the usual size of an AdamW step
            updates = orthogonal(torch.stack([ahead for _, ahead in members]))
            for (parameter, _), update in zip(members, updates):
                parameter.mul_(1 - rate * self.decay).add_(update.view(parameter.shape), alpha=-rate * scale)
        return result

    def state_dict(self):
        return {"adam": super().state_dict(), "momenta": self.momenta}

    def load_state_dict(self, state) -> None:
        super().load_state_dict(state["adam"])
        for momentum, saved in zip(self.momenta, state["momenta"]):
            momentum.copy_(saved)
