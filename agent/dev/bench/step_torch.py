"""Times steps of Stable Diffusion 1.5's UNet in PyTorch on the CPU, for `npm run bench -- step-vs-torch`.

    python step_torch.py CHECKPOINT.safetensors --threads N --batch 2 --side 64

The network is written here from its published shape (arXiv:2112.10752 and the tensor names of its
checkpoints), computes in f32 like ComfyUI on a CPU, and gets every chance that PyTorch offers for it:
inference mode, fused attention, and the faster of both memory formats. Says `{"ready": ...}` when it is
warm; then each line on standard input is one step, answered by `{"ms": ..., "sample": [...]}`.
"""

import argparse
import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

HEADS = 8
PREFIX = "model.diffusion_model."
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class Residual(nn.Module):
    def __init__(self, channels, out_channels):
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(1280, out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, out_channels), nn.SiLU(), nn.Identity(), nn.Conv2d(out_channels, out_channels, 3, padding=1)
        )
        same = channels == out_channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x, time_embedding, context):
        hidden = self.in_layers(x) + self.emb_layers(time_embedding)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(hidden)


class Attention(nn.Module):
    def __init__(self, width, context_width):
        super().__init__()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context_width, width, bias=False)
        self.to_v = nn.Linear(context_width, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def forward(self, x, context):
        parts = (self.to_q(x), self.to_k(context), self.to_v(context))
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in parts)
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class GatedLinear(nn.Module):
    def __init__(self, width, inner_width):
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner_width)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(GatedLinear(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x):
        return self.net(x)


class TransformerBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1, self.attn2 = Attention(width, width), Attention(width, 768)
        self.ff = FeedForward(width)

    def forward(self, x, context):
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.GroupNorm(32, width, eps=1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width)])
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x, time_embedding, context):
        height = x.shape[2]
        tokens = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        tokens = self.transformer_blocks[0](tokens, context)
        return x + self.proj_out(tokens.transpose(1, 2).unflatten(2, (height, -1)).contiguous())


class Downsample(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x, time_embedding, context):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x, time_embedding, context):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class First(nn.Conv2d):
    def forward(self, x, time_embedding, context):
        return super().forward(x)


class Unet(nn.Module):
    """Four levels of 320, 640, 1280 and 1280 channels; attention on all but the last."""

    def __init__(self):
        super().__init__()
        self.time_embed = nn.Sequential(nn.Linear(320, 1280), nn.SiLU(), nn.Linear(1280, 1280))
        widths, skips, width = [320, 640, 1280, 1280], [320], 320
        self.input_blocks = nn.ModuleList([nn.ModuleList([First(4, 320, 3, padding=1)])])
        for level, wide in enumerate(widths):
            for _ in range(2):
                attends = [Transformer(wide)] if level < 3 else []
                self.input_blocks.append(nn.ModuleList([Residual(width, wide), *attends]))
                width = wide
                skips.append(width)
            if level < 3:
                self.input_blocks.append(nn.ModuleList([Downsample(width)]))
                skips.append(width)
        self.middle_block = nn.ModuleList([Residual(width, width), Transformer(width), Residual(width, width)])
        self.output_blocks = nn.ModuleList()
        for level, wide in reversed(list(enumerate(widths))):
            for index in range(3):
                layers = [Residual(width + skips.pop(), wide), *([Transformer(wide)] if level < 3 else [])]
                width = wide
                layers += [Upsample(width)] if level > 0 and index == 2 else []
                self.output_blocks.append(nn.ModuleList(layers))
        self.out = nn.Sequential(nn.GroupNorm(32, 320), nn.SiLU(), nn.Conv2d(320, 4, 3, padding=1))

    def forward(self, x, timesteps, context):
        frequencies = torch.exp(torch.arange(160) * (-math.log(10000) / 160))
        angles = timesteps[:, None] * frequencies
        embedding = self.time_embed(torch.cat([angles.cos(), angles.sin()], dim=1))
        kept = []
        for block in self.input_blocks:
            for layer in block:
                x = layer(x, embedding, context)
            kept.append(x)
        for layer in self.middle_block:
            x = layer(x, embedding, context)
        for block in self.output_blocks:
            x = torch.cat([x, kept.pop()], dim=1)
            for layer in block:
                x = layer(x, embedding, context)
        return self.out(x)


def read_weights(path):
    """The UNet's tensors of a .safetensors file, in f32."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        weights = {}
        for name, entry in header.items():
            if name.startswith(PREFIX):
                start, end = entry["data_offsets"]
                file.seek(8 + length + start)
                raw = torch.frombuffer(bytearray(file.read(end - start)), dtype=DTYPES[entry["dtype"]])
                weights[name[len(PREFIX):]] = raw.reshape(entry["shape"]).float()
    return weights


def wave(rate, *shape):
    """The same numbers as `wave` of step-vs-torch.ts."""
    count = math.prod(shape)
    return torch.sin(torch.arange(count, dtype=torch.float64) * rate).float().reshape(shape)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--side", type=int, default=64)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with torch.device("meta"):
        unet = Unet()
    unet.load_state_dict(read_weights(given.checkpoint), assign=True)
    unet.eval()
    latent = wave(0.37, given.batch, 4, given.side, given.side)
    context = wave(0.11, given.batch, 77, 768)
    timesteps = torch.full((given.batch,), 500.0)

    def step(memory_format):
        begun = time.perf_counter()
        prediction = unet(latent.contiguous(memory_format=memory_format), timesteps, context)
        return 1000 * (time.perf_counter() - begun), prediction

    with torch.inference_mode():
        best = {}
        for memory_format in (torch.contiguous_format, torch.channels_last):
            unet.to(memory_format=memory_format)
            best[memory_format] = min(step(memory_format)[0] for _ in range(2))
        chosen = min(best, key=best.get)
        unet.to(memory_format=chosen)
        step(chosen)
        print(json.dumps({"ready": f"PyTorch {torch.__version__}, {chosen}"}), flush=True)
        for _ in sys.stdin:
            elapsed, prediction = step(chosen)
            sample = prediction.contiguous().flatten()[:: prediction.numel() // 64].tolist()
            print(json.dumps({"ms": elapsed, "sample": sample}), flush=True)


if __name__ == "__main__":
    main()
