"""Trains the networks: `train.py unet` (with the text encoder) and `train.py vae`.

Both run until a wall-clock time, with the learning rate falling to zero by then,
and can be stopped and started again: state is kept in a folder. The UNet
may be trained by several processes, one thread each, which on a busy machine is
quicker than one process of several threads:

    torchrun --nproc-per-node 2 train.py unet --threads 1 ...
"""

from __future__ import annotations

import argparse
import os
import pickle
import queue
import random
import threading
import time
from datetime import datetime
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

import draw
import fast_norm
import model
from clip_tokens import BEGIN, END, Tokenizer, frame
from latents import to_latents
from model import LATENT_SCALE, STEPS, Autoencoder, TextModel, UNet, alphas_cumulative
from muon import MuonAdamW

EMPTY_CAPTIONS = 0.15  # share of captions replaced by "", for classifier-free guidance
STRANGE_WORDS = 0.15  # share of captions with words strewn in that mean nothing here
PURE_NOISE = 0.04  # share of samples that start from noise without a trace of the picture
EMA_DECAY = 0.998
# Below this step everything is decided and only outlines are drawn. A text heard there is
# exaggerated by classifier-free guidance: hexagons grow horns. So it is made useless there.
DECIDED = 350
WARM_UP = 50  # steps


# --------------------------------------------------------------------------- shared


class Average:
    """Exponential moving average of a module's weights, with a short memory at first."""

    def __init__(self, module: nn.Module, decay: float = EMA_DECAY) -> None:
        self.module, self.decay, self.count = module, decay, 0
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        self.count += 1
        weight = 1 - min(self.decay, (1 + self.count) / (10 + self.count))
        for name, value in self.module.state_dict().items():
            self.state[name].lerp_(value, weight)


class Schedule:
    """Learning rate over wall-clock time: a short rise, then a cosine to zero at `until`."""

    def __init__(self, rate: float, began: float, until: float) -> None:
        self.rate, self.began, self.until = rate, began, until

    @property
    def done(self) -> bool:
        return time.time() >= self.until

    def at(self, step: int) -> float:
        progress = min(1.0, (time.time() - self.began) / (self.until - self.began))
        return self.rate * min(1.0, (step + 1) / WARM_UP) * (0.5 + 0.5 * float(np.cos(np.pi * progress)))


def clock(text: str) -> float:
    """HH:MM today -> seconds since the epoch."""
    hour, minute = map(int, text.split(":"))
    return datetime.now().replace(hour=hour, minute=minute, second=0, microsecond=0).timestamp()


def save(path: Path, state: dict) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def _share_gradients(module: nn.Module) -> None:
    """Averages gradients over all processes."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients])):
        gradient.copy_(mean.view(gradient.shape))


def _agreed(done: bool) -> bool:
    """Whether any process is done, so that all stop at the same step."""
    flag = torch.tensor(float(done))
    if dist.is_initialized():
        dist.all_reduce(flag)
    return flag.item() > 0


def optimise(module: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
    module.zero_grad(set_to_none=True)
    loss.backward()
    if dist.is_initialized():
        _share_gradients(module)
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimiser.step()


# --------------------------------------------------------------------------- UNet and text


class ShortVocabulary:
    """Numbers the few tokens that captions use; 0 stands for all others and is a zero row."""

    def __init__(self, tokenizer: Tokenizer, samples: int = 20_000) -> None:
        rng = np.random.default_rng(0)
        scenes = [draw.pick_scene(rng) for _ in range(samples)]
        words = " ".join(draw.caption(scene, rng) for scene in scenes)
        self.tokens = [BEGIN, END, *sorted(set(tokenizer.tokens(words)))]
        self.numbers = {token: index + 1 for index, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens) + 1

    def encode(self, tokens: list[int]) -> list[int]:
        return [self.numbers.get(token, 0) for token in frame(tokens)]


def _strew(tokens: list[int]) -> list[int]:
    """Adds tokens of no meaning, in one run or several, before, between or after the words."""
    tokens = list(tokens)
    for _ in range(random.choice([1, 1, 2, 3])):
        at = random.choice([0, len(tokens), len(tokens), random.randint(0, len(tokens))])
        tokens[at:at] = [-1] * random.randint(1, 5)
    return tokens


class SceneBatches:
    """Endless batches of (latents, short tokens), prepared in a thread."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, vocabulary: ShortVocabulary, batch: int, pool: int) -> None:
        self.tokenizer, self.vocabulary, self.batch, self.pool = tokenizer, vocabulary, batch, pool
        planes, self.scenes = [], []
        for file in sorted(folder.glob("scenes-*.npy")):
            planes.append(np.load(file))
            self.scenes += pickle.loads(file.with_suffix(".pkl").read_bytes())
        self.planes = np.concatenate(planes)
        self.ready: queue.Queue = queue.Queue(maxsize=4)
        threading.Thread(target=self._work, daemon=True).start()

    def _tokens(self, scene: draw.Scene, rng: np.random.Generator) -> list[int]:
        if rng.random() < EMPTY_CAPTIONS:
            return self.vocabulary.encode([])
        tokens = self.tokenizer.tokens(draw.caption(scene, rng))
        if rng.random() < STRANGE_WORDS:
            tokens = _strew(tokens)
        return self.vocabulary.encode(tokens)

    def _work(self) -> None:
        rng = np.random.default_rng()
        while True:
            order = rng.permutation(len(self.scenes))
            for start in range(0, len(order) - self.batch + 1, self.batch):
                chosen = order[start : start + self.batch]
                tokens = torch.tensor([self._tokens(self.scenes[i], rng) for i in chosen])
                planes = torch.from_numpy(self.planes[chosen].astype(np.float32))
                self.ready.put((to_latents(F.avg_pool2d(planes, self.pool)), tokens))

    def next(self) -> tuple[Tensor, Tensor]:
        return self.ready.get()


class Painter(nn.Module):
    """UNet and text encoder, trained together."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.unet = UNet()
        self.text = TextModel(vocabulary)
        table = self.text.embeddings.token_embedding
        table.padding_idx = 0  # no gradient: the zero row stays zero
        with torch.no_grad():
            table.weight[0] = 0

    def forward(self, x: Tensor, steps: Tensor, tokens: Tensor) -> Tensor:
        return self.unet(x, steps, self.text(tokens))


def noise_loss(painter: Painter, latents: Tensor, tokens: Tensor, alphas: Tensor) -> Tensor:
    """Weighted error of the predicted noise.

    The weight is the inverse root of the signal-to-noise ratio: between plain
    noise loss and loss on the picture itself, so that the first steps, which
    decide what goes where, are learned as eagerly as the last ones.

    Samplers begin with noise that holds no trace of a picture, but step 999 of
    the schedule still shows its mean colours. So part of the batch gets pure
    noise, and as target the "noise" that leads from there to the picture.
    """
    batch = latents.shape[0]
    steps = torch.randint(0, STEPS, (batch,))
    # Late steps learn not to listen: half of their captions belong to other pictures.
    strangers = (steps < DECIDED) & (torch.rand(batch) < 0.5)
    tokens = torch.where(strangers[:, None], tokens.roll(1, 0), tokens)
    pure = torch.rand(batch) < PURE_NOISE
    steps[pure] = STEPS - 1
    signal = alphas[steps].sqrt()[:, None, None, None]
    spread = (1 - alphas[steps]).sqrt()[:, None, None, None]
    noise = torch.randn_like(latents)
    noisy = signal * latents + spread * noise
    pure = pure[:, None, None, None]
    target = torch.where(pure, (noise - signal * latents) / spread, noise)
    noisy = torch.where(pure, noise, noisy).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predicted = painter(noisy, steps, tokens)
    weight = (spread / signal).clamp(0.05, 8)
    return (weight * (predicted.float() - target) ** 2).mean()


def train_unet(arguments: argparse.Namespace) -> None:
    processes, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if processes > 1:
        dist.init_process_group("gloo")
    torch.manual_seed(time.time_ns() % 2**31 + rank)
    random.seed()
    tokenizer = Tokenizer(arguments.merges)
    vocabulary = ShortVocabulary(tokenizer)
    batches = SceneBatches(arguments.data, tokenizer, vocabulary, arguments.batch, arguments.pool)
    painter = Painter(len(vocabulary)).to(memory_format=torch.channels_last)
    if processes > 1:
        for parameter in painter.parameters():
            dist.broadcast(parameter.data, 0)
    average = Average(painter)
    optimiser = MuonAdamW(painter, arguments.rate)
    path = arguments.state / "unet.pt"
    began, step = time.time(), 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        painter.load_state_dict(state["model"])
        average.state, average.count, step = state["average"], state["step"], state["step"]
        if not arguments.anew:
            optimiser.load_state_dict(state["optimiser"])
            began = state["began"]
    schedule = Schedule(arguments.rate, began, arguments.until)
    alphas = alphas_cumulative()
    print(f"{len(batches.scenes)} scenes, {len(vocabulary)} tokens, from step {step}", flush=True)

    def keep() -> None:
        save(path, {"model": painter.state_dict(), "optimiser": optimiser.state_dict(), "average": average.state,
                    "tokens": vocabulary.tokens, "began": began, "step": step})

    losses: list[float] = []
    reported = kept = time.time()
    while True:
        latents, tokens = batches.next()
        loss = noise_loss(painter, latents, tokens, alphas)
        optimise(painter, optimiser, loss, schedule.at(step))
        average.update()
        losses.append(loss.item())
        step += 1
        if step % 50 == 0:
            now = time.time()
            if rank == 0:
                rate = 50 * arguments.batch * processes / (now - reported)
                print(f"{time.strftime('%H:%M:%S')} step {step} loss {np.mean(losses):.4f} {rate:.0f} samples/s", flush=True)
            losses, reported = [], now
            if _agreed(schedule.done):
                break
        if rank == 0 and time.time() - kept > 120:
            keep()
            kept = time.time()
    if rank == 0:
        keep()


# --------------------------------------------------------------------------- autoencoder


def _draw_full(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (256, 256, 3) as bytes and planes (4, 32, 32) of one scene."""
    image, edges = draw.render(draw.pick_scene(np.random.default_rng(seed)), 256)
    return (image * 255 + 0.5).astype(np.uint8), draw.pool_planes(image, edges, 32).astype(np.float16)


def full_pictures(folder: Path, count: int, processes: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws (or finds again) the pictures for the autoencoder; their seeds are not the UNet's."""
    images, planes = folder / "pictures.npy", folder / "pictures-planes.npy"
    if not images.exists():
        with Pool(processes) as pool:
            drawn = pool.map(_draw_full, range(10**9, 10**9 + count), chunksize=50)
        np.save(planes, np.stack([plane for _, plane in drawn]))
        np.save(images, np.stack([image for image, _ in drawn]))
    return np.load(images, mmap_mode="r"), np.load(planes)


def _slopes(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Absolute error of pixels and of their differences, which keeps edges crisp."""
    loss = (made - wanted).abs().mean()
    for a, b in zip(_slopes(made), _slopes(wanted)):
        loss = loss + 0.5 * (a - b).abs().mean()
    return loss


def train_vae(arguments: argparse.Namespace) -> None:
    images, planes = full_pictures(arguments.data, arguments.pictures, arguments.threads)
    vae = Autoencoder().to(memory_format=torch.channels_last)
    nn.init.eye_(vae.post_quant_conv.weight.data[:, :, 0, 0])
    nn.init.eye_(vae.quant_conv.weight.data[:, :, 0, 0])
    average = Average(vae, 0.998)
    optimiser = MuonAdamW(vae, arguments.rate)
    path = arguments.state / "vae.pt"
    began, step = time.time(), 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        vae.load_state_dict(state["model"])
        average.state, average.count, step = state["average"], state["step"], state["step"]
        if not arguments.anew:
            optimiser.load_state_dict(state["optimiser"])
            began = state["began"]
    schedule = Schedule(arguments.rate, began, arguments.until)
    cells = arguments.crop // 8
    losses: list[tuple[float, float]] = []
    reported = kept = time.time()

    def keep() -> None:
        save(path, {"model": vae.state_dict(), "optimiser": optimiser.state_dict(), "average": average.state,
                    "began": began, "step": step})

    while not schedule.done:
        rows = []
        for index in np.random.randint(0, len(images), arguments.batch):
            y, x = np.random.randint(0, 32 - cells + 1, 2)
            rows.append((images[index, 8 * y : 8 * (y + cells), 8 * x : 8 * (x + cells)],
                         planes[index, :, y : y + cells, x : x + cells]))
        pixels = torch.from_numpy(np.stack([row[0] for row in rows])).permute(0, 3, 1, 2).float() / 127.5 - 1
        latents = to_latents(torch.from_numpy(np.stack([row[1] for row in rows]).astype(np.float32)))
        # Diffusion leaves a little noise; the decoder learns to see through it.
        spread = torch.rand(arguments.batch, 1, 1, 1) * arguments.noise
        noisy = latents + spread * torch.randn_like(latents)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            made = vae.decode(noisy / LATENT_SCALE)
            draw_loss = picture_loss(made.float(), pixels)
            loss, read_loss = draw_loss, torch.zeros(())
            if step % arguments.encoder_every == 0:
                means = vae.encode(pixels)
                read_loss = F.smooth_l1_loss(means.float() * LATENT_SCALE, latents, beta=0.1)
                loss = loss + read_loss
        optimise(vae, optimiser, loss, schedule.at(step))
        average.update()
        losses.append((draw_loss.item(), read_loss.item() * arguments.encoder_every))
        step += 1
        if step % 50 == 0:
            now = time.time()
            drawn, read = np.mean(losses, 0)
            print(f"{time.strftime('%H:%M:%S')} step {step} decoder {drawn:.4f} encoder {read:.4f} "
                  f"{50 * arguments.batch / (now - reported):.1f} crops/s", flush=True)
            losses, reported = [], now
        if time.time() - kept > 60:
            keep()
            kept = time.time()
    keep()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, function, batch, rate in (("unet", train_unet, 32, 2e-3), ("vae", train_vae, 8, 1e-3)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("--data", type=Path, required=True, help="folder of drawn scenes")
        command.add_argument("--state", type=Path, required=True, help="folder for the training state")
        command.add_argument("--until", type=clock, required=True, help="stop at HH:MM")
        command.add_argument("--threads", type=int, default=2)
        command.add_argument("--batch", type=int, default=batch)
        command.add_argument("--rate", type=float, default=rate)
        command.add_argument("--anew", action="store_true", help="go on from the weights, but start a new schedule")
        if name == "unet":
            command.add_argument("--merges", type=Path, required=True, help="bpe_simple_vocab_16e6.txt.gz")
            command.add_argument("--pool", type=int, default=1, help="2 trains on grids of half the size, to begin with")
        else:
            command.add_argument("--pictures", type=int, default=4000)
            command.add_argument("--crop", type=int, default=128, help="pixels; 256 is the whole picture")
            command.add_argument("--noise", type=float, default=0.15, help="most noise added to latents")
            command.add_argument("--encoder-every", type=int, default=4, help="steps per encoder step")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if fast_norm.available():
        model.norm_silu = fast_norm.norm_silu
    arguments.state.mkdir(parents=True, exist_ok=True)
    arguments.function(arguments)


if __name__ == "__main__":
    main()
