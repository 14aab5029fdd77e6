"""Draws the training data: pictures of coloured shapes, and the words for them.

A picture starts as a `Scene` (what is where, in which colour). `render` turns a
scene into pixels and into the field that becomes the fourth latent channel;
`caption` puts it into words, differently each time. Nothing is read from disk:
the whole data set is this file.

Geometry is in canvas units: x to the right, y downwards, the canvas is [0, 1]
on both axes. All shapes are signed distance functions (negative inside) of
points relative to the shape's centre in units of its radius, after the
well-known collection by Inigo Quilez (iquilezles.org/articles/distfunctions2d).
"""

from __future__ import annotations

import argparse
import pickle
from dataclasses import dataclass, field
from multiprocessing import Pool

import numpy as np

# sRGB in [0, 255]: far enough apart to be told from each other after diffusion.
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 38, 38),
    "orange": (249, 128, 18),
    "yellow": (250, 212, 30),
    "green": (34, 160, 70),
    "cyan": (40, 205, 222),
    "blue": (37, 80, 220),
    "purple": (128, 48, 190),
    "pink": (250, 128, 182),
    "white": (250, 250, 250),
    "black": (22, 22, 26),
    "gray": (130, 134, 140),
    "brown": (124, 74, 38),
}
# Never put these on one another: too close for a clean picture.
CLOSE_COLOURS = {
    frozenset(pair)
    for pair in [("red", "brown"), ("orange", "yellow"), ("orange", "red"), ("orange", "brown"), ("cyan", "white")]
}

COLOUR_WORDS = {
    "gray": ["gray", "gray", "grey"],
    "purple": ["purple", "purple", "purple", "violet"],
    "cyan": ["cyan", "cyan", "cyan", "turquoise", "aqua"],
}
SHAPE_WORDS = {
    "circle": ["circle"] * 8 + ["disc", "dot", "ball", "disk"],
    "square": ["square"] * 8 + ["box"],
    "triangle": ["triangle"],
    "star": ["star"],
    "diamond": ["diamond"] * 6 + ["rhombus"],
    "heart": ["heart"],
    "hexagon": ["hexagon"],
    "ring": ["ring"] * 6 + ["donut"],
    "cross": ["cross"] * 5 + ["plus", "plus sign"],
    "oval": ["oval", "oval", "ellipse"],
    "crescent": ["crescent", "crescent", "moon", "crescent moon"],
}
# The last two are extras, so they are drawn less often.
SHAPES = list(SHAPE_WORDS)
SHAPE_WEIGHTS = np.array([1.0] * 9 + [0.5, 0.5])
SHAPE_WEIGHTS /= SHAPE_WEIGHTS.sum()

SIZE_WORDS = {
    "small": ["small", "small", "small", "tiny", "little"],
    "medium": ["medium", "medium sized", "medium-sized"],
    "large": ["large", "large", "big", "big", "huge"],
}
# Radius ranges in canvas units, for a shape alone and for one of two.
SINGLE_RADIUS = {None: (0.22, 0.32), "small": (0.095, 0.13), "medium": (0.19, 0.24), "large": (0.34, 0.40)}
PAIR_RADIUS = {None: (0.155, 0.20), "small": (0.09, 0.115), "medium": (0.15, 0.18), "large": (0.215, 0.24)}

PLACES = {
    "center": (0, 0),
    "left": (-1, 0),
    "right": (1, 0),
    "top": (0, -1),
    "bottom": (0, 1),
    "top left": (-1, -1),
    "top right": (1, -1),
    "bottom left": (-1, 1),
    "bottom right": (1, 1),
}
RELATIONS = ["above", "below", "left of", "right of", "next to", "inside", "and"]
# Where another shape has room within one: its radius, and its place (x, y), in radii of the outer one.
OUTER_SHAPES = {
    "circle": (0.36, (0, 0)),
    "square": (0.40, (0, 0)),
    "hexagon": (0.38, (0, 0)),
    "heart": (0.34, (0, -0.06)),
    "diamond": (0.32, (0, 0)),
    "ring": (0.30, (0, 0)),
    "star": (0.33, (0, 0.06)),
    "triangle": (0.36, (0, 0.24)),
    "cross": (0.33, (0, 0)),
    "oval": (0.38, (0, 0)),
    "crescent": (0.25, (-0.71, 0)),
}

# Distance over which the fourth latent channel saturates: a cell of the latent
# grid is 1/32 of the canvas, so edges show in about two cells on each side.
FIELD_SCALE = 0.05


@dataclass
class Shape:
    shape: str
    colour: str
    size: str | None
    x: float
    y: float
    radius: float
    say_colour: bool = True


@dataclass
class Background:
    """kind: plain, gradient, striped, dotted or checkered; two colours unless plain."""

    kind: str
    colours: tuple[str, ...]
    say: bool = True


@dataclass
class Scene:
    shapes: list[Shape]
    background: Background
    relation: str | None = None
    place: str | None = None
    tint: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))


# --------------------------------------------------------------------------- distances


def _polygon(px: np.ndarray, py: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Signed distance from points to a closed polygon; corners (N, 2)."""
    distance = np.full(px.shape, np.inf, px.dtype)
    sign = np.ones(px.shape, px.dtype)
    previous = corners[-1]
    for corner in corners:
        ex, ey = previous - corner
        wx, wy = px - corner[0], py - corner[1]
        along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1)
        bx, by = wx - ex * along, wy - ey * along
        distance = np.minimum(distance, bx * bx + by * by)
        above, below, side = py >= corner[1], py < previous[1], ex * wy > ey * wx
        flips = (above & below & side) | ~(above | below | side)
        sign = np.where(flips, -sign, sign)
        previous = corner
    return sign * np.sqrt(distance)


def _regular(count: int, radius: float = 1.0, inner: float | None = None) -> np.ndarray:
    """Corners of a regular polygon or, with an inner radius, of a star; one points up."""
    steps = count if inner is None else 2 * count
    angles = -np.pi / 2 + np.arange(steps) * 2 * np.pi / steps
    radii = np.full(steps, radius)
    if inner is not None:
        radii[1::2] = inner
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)


def _rounded(corners: np.ndarray, rounding: float):
    return lambda x, y: _polygon(x, y, corners * (1 - rounding)) - rounding


def _heart_corners() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x / 16.5, (y - 2.5) / 15.5], 1)


_ARM = 0.34
_CROSS = np.array(
    [(-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM),
     (_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM)]
) * 0.95
_HEXAGON = _regular(6)[:, ::-1].copy()  # flat top and bottom, corners left and right


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(x + 0.1, y) - 0.95, 0.80 - np.hypot(x - 0.42, y))


DISTANCES = {
    "circle": lambda x, y: np.hypot(x, y) - 0.95,
    "square": _rounded(np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.86, 0.04),
    "triangle": _rounded(np.array([(0, -0.98), (1.02, 0.80), (-1.02, 0.80)]), 0.03),
    "star": _rounded(_regular(5, 1.08, 0.45) + np.array([0, 0.06]), 0.02),
    "diamond": _rounded(np.array([(0, -1.05), (0.78, 0), (0, 1.05), (-0.78, 0)]), 0.03),
    "heart": lambda x, y: _polygon(x, y, _HEART),
    "hexagon": _rounded(_HEXAGON, 0.03),
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.76) - 0.20,
    "cross": _rounded(_CROSS, 0.02),
    "oval": lambda x, y: (np.hypot(x / 1.05, y / 0.66) - 1) * 0.72,
    "crescent": _crescent,
}
_HEART = _heart_corners()


# --------------------------------------------------------------------------- scenes


def _other(rng: np.random.Generator, *taken: str) -> str:
    """A colour that stands out against every one of `taken`."""
    while True:
        colour = str(rng.choice(list(COLOURS)))
        if all(colour != other and frozenset((colour, other)) not in CLOSE_COLOURS for other in taken):
            return colour


def _pick_background(rng: np.random.Generator) -> Background:
    roll = rng.random()
    if roll < 0.32:  # nothing is said: what looks pleasant, white most of all
        if rng.random() < 0.6:
            return Background("plain", ("white",), say=False)
        return Background("plain", (str(rng.choice(["black", "blue", "yellow", "cyan", "pink", "green", "gray"])),), say=False)
    first = str(rng.choice(list(COLOURS)))
    if roll < 0.78:
        return Background("plain", (first,))
    second = _other(rng, first)
    if roll < 0.88:
        return Background("gradient", (first, second))
    return Background(str(rng.choice(["striped", "dotted", "checkered"])), (first, second))


def _radius(rng: np.random.Generator, table: dict, size: str | None) -> float:
    low, high = table[size]
    return float(rng.uniform(low, high))


def _pick_shape(rng: np.random.Generator, taken: tuple[str, ...], sized: float, table: dict) -> Shape:
    size = str(rng.choice(["small", "medium", "large"])) if rng.random() < sized else None
    return Shape(
        shape=str(rng.choice(SHAPES, p=SHAPE_WEIGHTS)),
        colour=_other(rng, *taken),
        size=size,
        x=0.5,
        y=0.5,
        radius=_radius(rng, table, size),
        say_colour=rng.random() > 0.06,
    )


def _lay_out_pair(rng: np.random.Generator, first: Shape, second: Shape, relation: str) -> None:
    """Moves two shapes to where the relation (first RELATION second) wants them."""
    gap = rng.uniform(0.04, 0.09)
    length = 2 * first.radius + 2 * second.radius + gap
    start = 0.5 - length / 2 + rng.uniform(-0.015, 0.015)
    near, far = start + first.radius, start + length - second.radius
    drift = rng.uniform(-0.025, 0.025, 2)
    direction = {"left of": (1, 0), "right of": (-1, 0), "above": (0, 1), "below": (0, -1)}.get(relation)
    if direction is None:  # "and", "next to": side by side, in the order of the words nearly always
        direction = (1, 0) if rng.random() < 0.92 else (-1, 0)
    across, down = direction
    for shape, along, shift in ((first, near, drift[0]), (second, far, drift[1])):
        along = along if across + down > 0 else 1 - along
        shape.x, shape.y = (along, 0.5 + shift) if across else (0.5 + shift, along)


def _place_inside(rng: np.random.Generator, inner: Shape, outer: Shape) -> None:
    outer.shape = str(rng.choice(list(OUTER_SHAPES)))
    outer.radius = float(rng.uniform(0.38, 0.44) if outer.shape in ("star", "crescent") else rng.uniform(0.36, 0.43))
    outer.size = "large" if rng.random() < 0.25 else None
    inner.size = "small" if rng.random() < 0.25 else None
    while inner.shape == "ring" and outer.shape == "ring":
        inner.shape = str(rng.choice(SHAPES))
    room, (dx, dy) = OUTER_SHAPES[outer.shape]
    inner.radius = outer.radius * float(rng.uniform(0.9, 1.05)) * room
    outer.x, outer.y = 0.5 + rng.uniform(-0.02, 0.02, 2)
    inner.x, inner.y = outer.x + dx * outer.radius, outer.y + dy * outer.radius


def pick_scene(rng: np.random.Generator) -> Scene:
    """A random scene: nearly half of them one shape, the others two."""
    background = _pick_background(rng)
    scene = Scene([], background, tint=rng.normal(0, 0.006, (3, 3)))
    if rng.random() < 0.45:
        shape = _pick_shape(rng, background.colours, 0.4, SINGLE_RADIUS)
        jitter = 0.03
        if rng.random() < 0.35:
            scene.place = str(rng.choice(list(PLACES)))
            if scene.place != "center":
                most = rng.uniform(0.24, 0.28) if shape.size == "large" else rng.uniform(0.15, 0.2)
                shape.radius = min(shape.radius, float(most))
            reach = 0.5 - max(shape.radius, 0.15) - 0.06
            dx, dy = PLACES[scene.place]
            shape.x, shape.y = 0.5 + dx * reach, 0.5 + dy * reach
            jitter = 0.015
        shape.x, shape.y = np.array([shape.x, shape.y]) + rng.uniform(-jitter, jitter, 2)
        scene.shapes = [shape]
        return scene
    first = _pick_shape(rng, background.colours, 0.25, PAIR_RADIUS)
    second_taken = background.colours + ((first.colour,) if rng.random() < 0.93 else ())
    second = _pick_shape(rng, second_taken, 0.25, PAIR_RADIUS)
    scene.relation = str(rng.choice(RELATIONS, p=[0.15, 0.14, 0.13, 0.12, 0.08, 0.20, 0.18]))
    if scene.relation == "inside":
        if second.colour == first.colour:
            second.colour = _other(rng, first.colour, *background.colours)
        _place_inside(rng, first, second)
        scene.shapes = [second, first]  # painted in this order
    else:
        _lay_out_pair(rng, first, second, scene.relation)
        scene.shapes = [first, second]
    return scene


# --------------------------------------------------------------------------- pixels


def _background_pixels(background: Background, x: np.ndarray, y: np.ndarray, width: float) -> np.ndarray:
    """(S, S, 3) in [0, 1]. Patterns keep one phase and a period of four latent cells or more."""
    first = np.array(COLOURS[background.colours[0]]) / 255
    if background.kind == "plain":
        return np.broadcast_to(first, x.shape + (3,)).astype(np.float32)
    second = np.array(COLOURS[background.colours[1]]) / 255
    if background.kind == "gradient":
        mix = np.clip(y * 1.1 - 0.05, 0, 1)
    elif background.kind == "striped":
        mix = 0.5 + (np.abs((x * 4) % 1 - 0.5) - 0.25) / (width * 4)
    elif background.kind == "checkered":
        a = (np.abs((x * 4) % 1 - 0.5) - 0.25) / (width * 4)
        b = (np.abs((y * 4) % 1 - 0.5) - 0.25) / (width * 4)
        mix = 0.5 + 2 * np.clip(a, -0.5, 0.5) * np.clip(b, -0.5, 0.5)
    else:
        mix = 0.5 - (np.hypot((x * 6) % 1 - 0.5, (y * 6) % 1 - 0.5) - 0.27) / (width * 6)
    mix = np.clip(mix, 0, 1)[..., None]
    return (first * (1 - mix) + second * mix).astype(np.float32)


def render(scene: Scene, size: int, samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Draws a scene.

    Returns pixels (size, size, 3) in [0, 1] and the edge field (size, size) in
    (-1, 1): tanh of the distance to the nearest outline, positive where the
    picture shows a shape, negative where it shows the background (or a shape
    that lies inside another).
    """
    count = size * samples
    axis = ((np.arange(count) + 0.5) / count).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    width = 1 / count
    image = _background_pixels(scene.background, x, y, width)
    # A soft light from above and a vignette: gentle enough to keep each colour's name.
    light = 0.02 - 0.045 * (y - 0.2) - 0.10 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    image = image * (1 + light[..., None]) + scene.tint[0].astype(np.float32)
    edges = np.full(x.shape, -1e3, np.float32)
    for index, shape in enumerate(scene.shapes):
        px, py = (x - shape.x) / shape.radius, (y - shape.y) / shape.radius
        distance = (DISTANCES[shape.shape](px, py) * shape.radius).astype(np.float32)
        offset = 0.02
        below = DISTANCES[shape.shape](px, py - offset / shape.radius) * shape.radius
        shadow = 0.20 / (1 + np.exp(np.clip(below / 0.011, -30, 30)))
        image = image * (1 - shadow[..., None].astype(np.float32))
        colour = np.array(COLOURS[shape.colour], np.float32) / 255
        shade = 1 - 0.10 * np.clip(py, -1, 1) * 0.6 - 0.05 * np.clip(px, -1, 1) * 0.6
        fill = colour * shade[..., None] + scene.tint[1 + index].astype(np.float32)
        cover = np.clip(0.5 - distance / width, 0, 1)[..., None]
        image = image * (1 - cover) + fill * cover
        # Later shapes cover earlier ones; inside an earlier shape the sign turns round.
        edges = np.where(edges < 0, np.maximum(edges, -distance), np.minimum(edges, distance))
    image = np.clip(image, 0, 1)
    if samples > 1:
        image = image.reshape(size, samples, size, samples, 3).mean((1, 3))
        edges = edges.reshape(size, samples, size, samples).mean((1, 3))
    return image.astype(np.float32), np.tanh(edges / FIELD_SCALE).astype(np.float32)


def planes(scene: Scene, cells: int = 32, size: int = 128) -> np.ndarray:
    """(4, cells, cells): mean red, green, blue and edge field of each latent cell."""
    image, edges = render(scene, size)
    return pool_planes(image, edges, cells)


def pool_planes(image: np.ndarray, edges: np.ndarray, cells: int) -> np.ndarray:
    step = image.shape[0] // cells
    both = np.concatenate([image, edges[..., None]], 2)
    return both.reshape(cells, step, cells, step, 4).mean((1, 3)).transpose(2, 0, 1)


# --------------------------------------------------------------------------- words


def _say_shape(rng: np.random.Generator, shape: Shape, article: bool) -> str:
    words = []
    if shape.size:
        words.append(str(rng.choice(SIZE_WORDS[shape.size])))
    if shape.say_colour:
        words.append(str(rng.choice(COLOUR_WORDS.get(shape.colour, [shape.colour]))))
    words.append(str(rng.choice(SHAPE_WORDS[shape.shape])))
    text = " ".join(words)
    if article:
        text = ("an " if text[0] in "aeiou" else "a ") + text
    return text


def _say_background(rng: np.random.Generator, background: Background) -> str:
    first, *rest = [str(rng.choice(COLOUR_WORDS.get(colour, [colour]))) for colour in background.colours]
    if background.kind == "plain":
        return first
    second = rest[0]
    if background.kind == "gradient":
        return str(rng.choice([f"{first} to {second} gradient", f"{first} and {second} gradient", f"gradient from {first} to {second}"]))
    kind = {"dotted": ["dotted", "polka dot"], "striped": ["striped"], "checkered": ["checkered", "checkerboard"]}
    return f"{first} and {second} {rng.choice(kind[background.kind])}"


_PLACE_WORDS = {
    "center": ["in the center", "in the middle", "in the centre", "centered"],
    "left": ["on the left", "at the left", "on the left side"],
    "right": ["on the right", "at the right", "on the right side"],
    "top": ["at the top", "on the top"],
    "bottom": ["at the bottom", "on the bottom"],
}
_RELATION_WORDS = {
    "above": ["above", "above", "above", "over", "on top of"],
    "below": ["below", "below", "below", "under", "beneath", "underneath"],
    "left of": ["to the left of", "left of", "on the left of"],
    "right of": ["to the right of", "right of", "on the right of"],
    "next to": ["next to", "next to", "beside"],
    "inside": ["inside", "inside", "in", "within"],
    "and": ["and", "and", "and", "and", "with", ","],
}
# Where both shapes of a relation are, said of each.
_BOTH_PLACES = {
    "above": ("top", "bottom"),
    "below": ("bottom", "top"),
    "left of": ("left", "right"),
    "right of": ("right", "left"),
}
_OPENINGS = ["a picture of ", "a drawing of ", "an image of ", "an icon of ", "a photo of ", "there is ", "draw ", "simple "]


def _corner(rng: np.random.Generator, place: str) -> str:
    vertical, horizontal = place.split()
    vertical = {"top": ["top", "top", "upper"], "bottom": ["bottom", "bottom", "lower"]}[vertical]
    return f"in the {rng.choice(vertical)} {horizontal}{rng.choice(['', ' corner', ' corner'])}"


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """Says what a scene shows; the phrasing is drawn anew on each call."""
    article = rng.random() < 0.75
    shapes = scene.shapes[::-1] if scene.relation == "inside" else scene.shapes
    text = _say_shape(rng, shapes[0], article)
    if scene.relation in _BOTH_PLACES and rng.random() < 0.25:
        first, second = (str(rng.choice(_PLACE_WORDS[place])) for place in _BOTH_PLACES[scene.relation])
        joint = str(rng.choice([" and ", " and ", ", ", " with "]))
        text += f" {first}{joint}{_say_shape(rng, shapes[1], article)} {second}"
    elif scene.relation:
        word = str(rng.choice(_RELATION_WORDS[scene.relation]))
        text += (", " if word == "," else f" {word} ") + _say_shape(rng, shapes[1], article)
    if scene.place:
        place = scene.place
        text += " " + (_corner(rng, place) if " " in place else str(rng.choice(_PLACE_WORDS[place])))
    background = scene.background
    if background.say:
        words = _say_background(rng, background)
        roll = rng.random()
        a = ("an " if words[0] in "aeiou" else "a ") if article else ""
        if roll < 0.45:
            text += f" on {a}{words} background"
        elif roll < 0.60:
            text += f", {words} background"
        elif roll < 0.72 and background.kind == "plain":
            text += f" on {words}"
        elif roll < 0.80:
            text += f" {rng.choice(['against', 'with', 'over'])} {a}{words} background"
        elif roll < 0.88:
            text = f"{words} background, {text}"
        elif roll < 0.94:
            text += f", on {a}{words} {rng.choice(['background', 'backdrop'])}"
        else:
            text += f". the background is {words}"
    if rng.random() < 0.12:
        text = str(rng.choice(_OPENINGS)) + text
    return text


# --------------------------------------------------------------------------- data set


def _draw_one(seed: int) -> tuple[Scene, np.ndarray]:
    scene = pick_scene(np.random.default_rng(seed))
    return scene, planes(scene).astype(np.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw latents and scenes for the UNet.")
    parser.add_argument("--out", required=True, help="prefix: writes PREFIX-NN.npy and PREFIX-NN.pkl")
    parser.add_argument("--shards", type=int, default=12)
    parser.add_argument("--shard-size", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    with Pool(arguments.processes) as pool:
        for shard in range(arguments.first, arguments.shards):
            seeds = range(shard * arguments.shard_size, (shard + 1) * arguments.shard_size)
            scenes, latents = zip(*pool.map(_draw_one, seeds, chunksize=200))
            with open(f"{arguments.out}-{shard:02d}.pkl", "wb") as file:
                pickle.dump([scene for scene in scenes], file)
            np.save(f"{arguments.out}-{shard:02d}.npy", np.stack(latents))
            print(f"shard {shard} drawn", flush=True)


if __name__ == "__main__":
    import draw  # under its own name, so that the pickles can be read by others

    draw.main()
