"""The three networks, in the architecture and with the tensor names of Stable Diffusion 1.x.

Attribute names give the names in the file, so `Checkpoint().state_dict()` is
the single-file layout that every Stable Diffusion loader reads:

    cond_stage_model.transformer.text_model.*   CLIPTextModel (Hugging Face)
    model.diffusion_model.*                     UNetModel (CompVis/latent-diffusion)
    first_stage_model.*                         AutoencoderKL (CompVis/latent-diffusion)

Only the widths differ from the original; a loader finds them in the shapes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VOCABULARY = 49408  # CLIP byte pairs
CONTEXT = 77  # tokens per prompt, as in CLIP
TEXT_WIDTH = 64  # CLIP heads are 64 wide, so this is one head
TEXT_LAYERS = 4

MODEL_CHANNELS = 64  # two channels per group where the grid is finest
CHANNEL_MULT = (1, 1, 2)  # grids of 32, 16 and 8 cells
RES_BLOCKS = (3, 1, 1)  # outlines are drawn where the grid is finest
ATTENTION_LEVELS = (1, 2)  # at 8x8 words meet places; at 16x16 small shapes are told from each other
HEADS = 8  # Stable Diffusion 1.x has eight heads at every width

LATENT_CHANNELS = 4
# 64 channels in 32 groups at full size: with one channel to a group the last
# normalisation would erase flat colours.
VAE_CHANNELS = 64
VAE_MULT = (1, 1, 1, 1)  # four levels: one latent cell is 8x8 pixels
VAE_RES_BLOCKS = 1
LATENT_SCALE = 0.18215  # loaders multiply the encoder's means by this


# --------------------------------------------------------------------------- text


class SelfAttention(nn.Module):
    """(B, T, W) -> (B, T, W), each token seeing itself and those before it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 64
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            proj(x).view(batch, length, self.heads, -1).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(out.transpose(1, 2).reshape(batch, length, width))


class TextMlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))  # "quick gelu"


class TextLayer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(width)
        self.self_attn = SelfAttention(width)
        self.layer_norm2 = nn.LayerNorm(width)
        self.mlp = TextMlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class TextEmbeddings(nn.Module):
    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = nn.Embedding(CONTEXT, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.token_embedding(tokens) + self.position_embedding.weight[: tokens.shape[1]]


class TextEncoder(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TextLayer(width) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class TextModel(nn.Module):
    """Tokens (B, 77) -> (B, 77, W). Training uses a short vocabulary; see `export.py`."""

    def __init__(self, vocabulary: int = VOCABULARY, width: int = TEXT_WIDTH, layers: int = TEXT_LAYERS) -> None:
        super().__init__()
        self.embeddings = TextEmbeddings(vocabulary, width)
        self.encoder = TextEncoder(width, layers)
        self.final_layer_norm = nn.LayerNorm(width)
        nn.init.normal_(self.embeddings.token_embedding.weight, std=0.5)
        nn.init.normal_(self.embeddings.position_embedding.weight, std=0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.final_layer_norm(self.encoder(self.embeddings(tokens)))


# --------------------------------------------------------------------------- UNet


def time_embedding(steps: Tensor, width: int) -> Tensor:
    """(B,) -> (B, W): cosines, then sines, as ldm's `timestep_embedding`."""
    half = width // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=steps.device) / half)
    angles = steps.float()[:, None] * frequencies[None]
    return torch.cat([angles.cos(), angles.sin()], 1)


def norm_silu(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """SiLU of a normalised tensor. Training replaces this by `fast_norm.norm_silu`."""
    return F.silu(norm(x))


def _zero(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


class ResBlock(nn.Module):
    """ldm's ResBlock; the gaps in the numbering are layers without weights."""

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.in_layers = nn.ModuleDict({"0": nn.GroupNorm(32, inputs), "2": nn.Conv2d(inputs, outputs, 3, padding=1)})
        self.emb_layers = nn.ModuleDict({"1": nn.Linear(embedding, outputs)})
        self.out_layers = nn.ModuleDict(
            {"0": nn.GroupNorm(32, outputs), "3": _zero(nn.Conv2d(outputs, outputs, 3, padding=1))}
        )
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, embedding: Tensor, context: Tensor) -> Tensor:
        h = self.in_layers["2"](norm_silu(self.in_layers["0"], x))
        h = h + self.emb_layers["1"](F.silu(embedding))[:, :, None, None]
        h = self.out_layers["3"](norm_silu(self.out_layers["0"], h))
        return self.skip_connection(x) + h


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Plain attention: on a CPU its gradient is several times faster than the fused kernel's."""
    weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return weights.softmax(-1) @ v


class CrossAttention(nn.Module):
    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            t.view(batch, -1, HEADS, width // HEADS).transpose(1, 2)
            for t in (self.to_q(x), self.to_k(context), self.to_v(context))
        )
        out = attend(q, k, v)
        return self.to_out[0](out.transpose(1, 2).reshape(batch, length, width))


class Geglu(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.proj(x).chunk(2, -1)
        return x * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.ModuleDict({"0": Geglu(width, 4 * width), "2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        return self.net["2"](self.net["0"](x))


class TransformerBlock(nn.Module):
    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(width, width)
        self.ff = FeedForward(width)
        self.attn2 = CrossAttention(width, context)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn1(y, y)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, width, eps=1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width, context)])
        self.proj_out = _zero(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor, embedding: Tensor, context: Tensor) -> Tensor:
        batch, width, height, columns = x.shape
        h = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            h = block(h, context)
        h = h.transpose(1, 2).reshape(batch, width, height, columns)
        return x + self.proj_out(h)


class Downsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor, embedding: Tensor, context: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, embedding: Tensor, context: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class FirstConv(nn.Conv2d):
    def forward(self, x: Tensor, embedding: Tensor, context: Tensor) -> Tensor:
        return super().forward(x)


class Sequence(nn.Sequential):
    """ldm's TimestepEmbedSequential: every layer is given the time and the text."""

    def forward(self, x: Tensor, embedding: Tensor, context: Tensor) -> Tensor:
        for layer in self:
            x = layer(x, embedding, context)
        return x


class UNet(nn.Module):
    """Noisy latents (B, 4, H, W), steps (B,), text (B, 77, C) -> the noise in the latents."""

    def __init__(self, context: int = TEXT_WIDTH) -> None:
        super().__init__()
        embedding = 4 * MODEL_CHANNELS
        self.time_embed = nn.ModuleDict({"0": nn.Linear(MODEL_CHANNELS, embedding), "2": nn.Linear(embedding, embedding)})
        width = MODEL_CHANNELS
        skips = [width]
        self.input_blocks = nn.ModuleList([Sequence(FirstConv(LATENT_CHANNELS, width, 3, padding=1))])
        for level, mult in enumerate(CHANNEL_MULT):
            for _ in range(RES_BLOCKS[level]):
                layers: list[nn.Module] = [ResBlock(width, mult * MODEL_CHANNELS, embedding)]
                width = mult * MODEL_CHANNELS
                if level in ATTENTION_LEVELS:
                    layers.append(SpatialTransformer(width, context))
                self.input_blocks.append(Sequence(*layers))
                skips.append(width)
            if level + 1 < len(CHANNEL_MULT):
                self.input_blocks.append(Sequence(Downsample(width)))
                skips.append(width)
        self.middle_block = Sequence(
            ResBlock(width, width, embedding), SpatialTransformer(width, context), ResBlock(width, width, embedding)
        )
        self.output_blocks = nn.ModuleList()
        for level, mult in reversed(list(enumerate(CHANNEL_MULT))):
            for index in range(RES_BLOCKS[level] + 1):
                layers = [ResBlock(width + skips.pop(), mult * MODEL_CHANNELS, embedding)]
                width = mult * MODEL_CHANNELS
                if level in ATTENTION_LEVELS:
                    layers.append(SpatialTransformer(width, context))
                if level and index == RES_BLOCKS[level]:
                    layers.append(Upsample(width))
                self.output_blocks.append(Sequence(*layers))
        self.out = nn.ModuleDict({"0": nn.GroupNorm(32, width), "2": _zero(nn.Conv2d(width, LATENT_CHANNELS, 3, padding=1))})

    def forward(self, x: Tensor, steps: Tensor, context: Tensor) -> Tensor:
        embedding = self.time_embed["0"](time_embedding(steps, MODEL_CHANNELS))
        embedding = self.time_embed["2"](F.silu(embedding))
        skips = []
        for block in self.input_blocks:
            x = block(x, embedding, context)
            skips.append(x)
        x = self.middle_block(x, embedding, context)
        for block in self.output_blocks:
            x = block(torch.cat([x, skips.pop()], 1), embedding, context)
        return self.out["2"](norm_silu(self.out["0"], x))


# --------------------------------------------------------------------------- autoencoder


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, width, eps=1e-6)


class ResnetBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = _norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = _norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs:
            self.nin_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(norm_silu(self.norm1, x))
        h = self.conv2(norm_silu(self.norm2, h))
        return (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h


class AttnBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _norm(width)
        self.q = nn.Conv2d(width, width, 1)
        self.k = nn.Conv2d(width, width, 1)
        self.v = nn.Conv2d(width, width, 1)
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (conv(h).flatten(2).transpose(1, 2) for conv in (self.q, self.k, self.v))
        h = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(h.transpose(1, 2).reshape(x.shape))


class VaeDownsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class VaeUpsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Middle(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(width, width)
        self.attn_1 = AttnBlock(width)
        self.block_2 = ResnetBlock(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Level(nn.Module):
    """One resolution: `block` is a list, the resampling layer has the name the file wants."""

    def __init__(self, blocks: list[nn.Module], name: str, resample: nn.Module | None) -> None:
        super().__init__()
        self.block = nn.ModuleList(blocks)
        self.resample = name if resample else None
        if resample:
            self.add_module(name, resample)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return getattr(self, self.resample)(x) if self.resample else x


class Encoder(nn.Module):
    """Pixels (B, 3, H, W) in [-1, 1] -> (B, 8, H/8, W/8): means, then logarithms of variances."""

    def __init__(self) -> None:
        super().__init__()
        width = VAE_CHANNELS
        self.conv_in = nn.Conv2d(3, width, 3, padding=1)
        levels = []
        for index, mult in enumerate(VAE_MULT):
            blocks: list[nn.Module] = []
            for _ in range(VAE_RES_BLOCKS):
                blocks.append(ResnetBlock(width, mult * VAE_CHANNELS))
                width = mult * VAE_CHANNELS
            last = index + 1 == len(VAE_MULT)
            levels.append(Level(blocks, "downsample", None if last else VaeDownsample(width)))
        self.down = nn.ModuleList(levels)
        self.mid = Middle(width)
        self.norm_out = _norm(width)
        self.conv_out = nn.Conv2d(width, 2 * LATENT_CHANNELS, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(norm_silu(self.norm_out, self.mid(x)))


class Decoder(nn.Module):
    """Latents (B, 4, H, W) -> pixels (B, 3, 8H, 8W) in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        width = VAE_MULT[-1] * VAE_CHANNELS
        self.conv_in = nn.Conv2d(LATENT_CHANNELS, width, 3, padding=1)
        self.mid = Middle(width)
        levels = []
        for index, mult in reversed(list(enumerate(VAE_MULT))):
            blocks: list[nn.Module] = []
            for _ in range(VAE_RES_BLOCKS + 1):
                blocks.append(ResnetBlock(width, mult * VAE_CHANNELS))
                width = mult * VAE_CHANNELS
            levels.append(Level(blocks, "upsample", VaeUpsample(width) if index else None))
        self.up = nn.ModuleList(reversed(levels))  # up.0 is the finest, and runs last
        self.norm_out = _norm(width)
        self.conv_out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid(self.conv_in(x))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(norm_silu(self.norm_out, x))


class Autoencoder(nn.Module):
    """ldm's AutoencoderKL. Latents here are raw: those of the UNet divided by LATENT_SCALE."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.quant_conv = nn.Conv2d(2 * LATENT_CHANNELS, 2 * LATENT_CHANNELS, 1)
        self.post_quant_conv = nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, 1)

    def encode(self, pixels: Tensor) -> Tensor:
        return self.quant_conv(self.encoder(pixels))[:, :LATENT_CHANNELS]

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(latents))


# --------------------------------------------------------------------------- the file


class _Holder(nn.Module):
    """A name in the path of a tensor, and no more."""

    def __init__(self, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)


class Checkpoint(nn.Module):
    """All three networks under the names of a Stable Diffusion 1.x file."""

    def __init__(self, vocabulary: int = VOCABULARY) -> None:
        super().__init__()
        self.model = _Holder(diffusion_model=UNet())
        self.cond_stage_model = _Holder(transformer=_Holder(text_model=TextModel(vocabulary)))
        self.first_stage_model = Autoencoder()

    @property
    def unet(self) -> UNet:
        return self.model.diffusion_model

    @property
    def text(self) -> TextModel:
        return self.cond_stage_model.transformer.text_model

    @property
    def vae(self) -> Autoencoder:
        return self.first_stage_model


# --------------------------------------------------------------------------- schedule

STEPS = 1000


def alphas_cumulative() -> Tensor:
    """(1000,): the schedule of Stable Diffusion 1.x, linear in the square root of beta."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()
