"""Group normalisation followed by SiLU as one kernel, for training on a CPU.

On the small grids of this model PyTorch's own kernels spend more time in
GroupNorm than in all convolutions. This one works on channels-last memory,
where the sums run along contiguous channels. It needs a C++ compiler and
`ninja`; `train.py` goes on without it when they are missing.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SOURCE = r"""
#include <torch/extension.h>
#include <vector>
#include <cmath>
#include <cstring>

static inline float widen(uint16_t v) { uint32_t u = uint32_t(v) << 16; float f; memcpy(&f, &u, 4); return f; }
static inline uint16_t narrow(float f) {
  uint32_t u; memcpy(&u, &f, 4); return uint16_t((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}
static inline float sigmoid(float y) { return 1.f / (1.f + expf(-y)); }

// x, g, y, dx: (B, N, C) bfloat16, contiguous; weight, bias: (C) float; mean, rstd: (B, G) float.
std::vector<torch::Tensor> forward(torch::Tensor x, torch::Tensor weight, torch::Tensor bias, int64_t G, double eps) {
  const int64_t B = x.size(0), N = x.size(1), C = x.size(2), D = C / G;
  auto y = torch::empty_like(x);
  auto mean = torch::empty({B, G}, weight.options()), rstd = torch::empty({B, G}, weight.options());
  const auto* X = (const uint16_t*)x.data_ptr(); auto* Y = (uint16_t*)y.data_ptr();
  const float *W = weight.data_ptr<float>(), *Bi = bias.data_ptr<float>();
  float *M = mean.data_ptr<float>(), *R = rstd.data_ptr<float>();
  at::parallel_for(0, B, 1, [&](int64_t from, int64_t to) {
    std::vector<float> s1(C), s2(C), a(C), c(C);
    for (int64_t b = from; b < to; b++) {
      std::fill(s1.begin(), s1.end(), 0.f); std::fill(s2.begin(), s2.end(), 0.f);
      const uint16_t* xb = X + b * N * C; uint16_t* yb = Y + b * N * C;
      float *p1 = s1.data(), *p2 = s2.data(), *pa = a.data(), *pc = c.data();
      for (int64_t n = 0; n < N; n++) {
        const uint16_t* row = xb + n * C;
        for (int64_t i = 0; i < C; i++) { float v = widen(row[i]); p1[i] += v; p2[i] += v * v; }
      }
      for (int64_t g = 0; g < G; g++) {
        double t1 = 0, t2 = 0;
        for (int64_t i = g * D; i < (g + 1) * D; i++) { t1 += p1[i]; t2 += p2[i]; }
        const double m = t1 / (N * D), v = std::max(0.0, t2 / (N * D) - m * m);
        const float r = float(1 / std::sqrt(v + eps));
        M[b * G + g] = float(m); R[b * G + g] = r;
        for (int64_t i = g * D; i < (g + 1) * D; i++) { pa[i] = r * W[i]; pc[i] = Bi[i] - float(m) * pa[i]; }
      }
      for (int64_t n = 0; n < N; n++) {
        const uint16_t* row = xb + n * C; uint16_t* out = yb + n * C;
        for (int64_t i = 0; i < C; i++) { float v = widen(row[i]) * pa[i] + pc[i]; out[i] = narrow(v * sigmoid(v)); }
      }
    }
  });
  return {y, mean, rstd};
}

std::vector<torch::Tensor> backward(torch::Tensor g, torch::Tensor x, torch::Tensor weight, torch::Tensor bias,
                                    torch::Tensor mean, torch::Tensor rstd) {
  const int64_t B = x.size(0), N = x.size(1), C = x.size(2), G = mean.size(1), D = C / G;
  auto dx = torch::empty_like(x);
  auto dw = torch::zeros({B, C}, weight.options()), db = torch::zeros({B, C}, weight.options());
  const auto *X = (const uint16_t*)x.data_ptr(), *Gr = (const uint16_t*)g.data_ptr(); auto* DX = (uint16_t*)dx.data_ptr();
  const float *W = weight.data_ptr<float>(), *Bi = bias.data_ptr<float>(), *M = mean.data_ptr<float>(), *R = rstd.data_ptr<float>();
  float *DW = dw.data_ptr<float>(), *DB = db.data_ptr<float>();
  at::parallel_for(0, B, 1, [&](int64_t from, int64_t to) {
    std::vector<float> d(N * C), sx(C), a(C), c(C), c2(C), c3(C);
    for (int64_t b = from; b < to; b++) {
      const uint16_t *xb = X + b * N * C, *gb = Gr + b * N * C; uint16_t* ob = DX + b * N * C;
      float *pa = a.data(), *pc = c.data(), *pd = d.data(), *psx = sx.data(), *q2 = c2.data(), *q3 = c3.data(), *sd = DB + b * C, *sw = DW + b * C;
      std::fill(sx.begin(), sx.end(), 0.f);
      for (int64_t k = 0; k < C; k++) { const int64_t gi = b * G + k / D; pa[k] = R[gi] * W[k]; pc[k] = Bi[k] - M[gi] * pa[k]; }
      for (int64_t n = 0; n < N; n++) {
        const uint16_t *xr = xb + n * C, *gr = gb + n * C; float* dr = pd + n * C;
        for (int64_t i = 0; i < C; i++) {
          const float v = widen(xr[i]), y = v * pa[i] + pc[i], s = sigmoid(y), e = widen(gr[i]) * s * (1 + y * (1 - s));
          dr[i] = e; sd[i] += e; psx[i] += e * v;
        }
      }
      for (int64_t k = 0; k < G; k++) {
        const float m = M[b * G + k], r = R[b * G + k]; double A = 0, Q = 0;
        for (int64_t i = k * D; i < (k + 1) * D; i++) { sw[i] = (psx[i] - m * sd[i]) * r; A += sd[i] * W[i]; Q += sw[i] * W[i]; }
        A /= N * D; Q /= N * D;
        for (int64_t i = k * D; i < (k + 1) * D; i++) { q2[i] = -float(Q) * r * r; q3[i] = -float(A) * r + float(Q) * r * r * m; }
      }
      for (int64_t n = 0; n < N; n++) {
        const uint16_t* xr = xb + n * C; const float* dr = pd + n * C; uint16_t* o = ob + n * C;
        for (int64_t i = 0; i < C; i++) o[i] = narrow(dr[i] * pa[i] + widen(xr[i]) * q2[i] + q3[i]);
      }
    }
  });
  return {dx, dw.sum(0), db.sum(0)};
}
"""


@lru_cache(maxsize=1)
def _kernels():
    from torch.utils.cpp_extension import load_inline

    flags = ["-O3", "-march=native", "-ffast-math", "-fopenmp"]
    return load_inline("fast_norm", _SOURCE, functions=["forward", "backward"], extra_cflags=flags)


class _NormSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
        rows = x.to(torch.bfloat16, memory_format=torch.channels_last).permute(0, 2, 3, 1)
        shape = rows.shape
        rows = rows.reshape(shape[0], -1, shape[3])
        y, mean, rstd = _kernels().forward(rows, weight, bias, groups, eps)
        ctx.save_for_backward(rows, weight, bias, mean, rstd)
        ctx.dtype = x.dtype
        return y.view(shape).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        rows, weight, bias, mean, rstd = ctx.saved_tensors
        g = gradient.to(torch.bfloat16, memory_format=torch.channels_last).permute(0, 2, 3, 1)
        dx, dw, db = _kernels().backward(g.reshape(rows.shape), rows, weight, bias, mean, rstd)
        return dx.view(g.shape).permute(0, 3, 1, 2).to(ctx.dtype), dw, db, None, None


def norm_silu(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """silu(norm(x)) of a channels-last (B, C, H, W) tensor, in bfloat16."""
    if not torch.is_grad_enabled():
        return F.silu(norm(x))
    return _NormSilu.apply(x, norm.weight, norm.bias, norm.num_groups, norm.eps)


def available() -> bool:
    try:
        _kernels()
    except (OSError, RuntimeError, ImportError) as error:
        print(f"no fast normalisation: {error}")
        return False
    return True
