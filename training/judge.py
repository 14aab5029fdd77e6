"""Tells whether a picture shows what its prompt asked for, by geometry alone.

No network and nothing of `draw.py` is used; only the list of colours is shared
by name. The method, in the order of the code:

1. COLOUR. Each pixel gets the name of the nearest of twelve reference colours.
   Nearness is Euclidean distance in CIE Lab with lightness counted half, so
   that soft shading and shadows do not change a name.
2. BACKGROUND. Judged on the outermost ring of the picture, BORDER pixels wide.
   Plain: at least 70 % of the ring has the expected name. Dots: half of the
   ring has the first name, and 4 % of the picture the second. Other pairs of
   colours: the names of both together cover at least 60 % of the ring and each
   at least 12 %; for a gradient, the first must prevail in the top row of the ring over
   the second, and the other way round in the bottom row.
3. REGIONS. For each expected shape, the pixels of its colour are grouped into
   connected regions (4 neighbours). Those under SMALLEST of the picture are
   dropped. The largest region is the shape; of two expected shapes of one
   colour, the two largest, tried in both orders. On a background with that
   same colour in it, regions that touch the picture's edge are dropped.
   If another shape lies inside, its holes are filled first (but one hole is
   left in a ring: the part of it that has the background's colour).
4. SHAPE. The region is moved to its centroid and scaled to unit area, drawn on
   a GRID x GRID raster, and compared with outlines of every known shape treated
   the same way. The score is intersection over union; the best outline names
   the shape, if it scores at least LEAST_OVERLAP. Some shapes have a few
   outlines (thin and thick rings, wide and narrow diamonds). Nothing is
   turned: a square on its corner is a diamond.
5. RELATION, PLACE, SIZE. Centroids and bounding boxes, see `_related`,
   `_placed` and `_sized`.
6. NOTHING ELSE. On a plain background, no connected region of any further
   colour may cover more than LARGEST_EXTRA of the picture, nor may a second
   region of a shape's colour.

Command line: `judge.py PICTURE EXPECTED` where EXPECTED is JSON, or
`judge.py --prompts prompts.json --pictures FOLDER` for files NN.png.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
from PIL import Image

REFERENCE = {
    "red": (220, 38, 38), "orange": (249, 128, 18), "yellow": (250, 212, 30), "green": (34, 160, 70),
    "cyan": (40, 205, 222), "blue": (37, 80, 220), "purple": (128, 48, 190), "pink": (250, 128, 182),
    "white": (250, 250, 250), "black": (22, 22, 26), "gray": (130, 134, 140), "brown": (124, 74, 38),
}
NAMES = list(REFERENCE)
BORDER = 6 / 256  # of the picture's side
SMALLEST = 0.004  # of the picture's area: a disc of radius 9 in 256x256
LARGEST_EXTRA = 0.006
GRID = 64
LEAST_OVERLAP = 0.78


# --------------------------------------------------------------------------- colour


def _lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB bytes (..., 3) -> CIE Lab (D65) with lightness halved."""
    c = rgb / 255.0
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([(116 * y - 16) / 2, 500 * (x - y), 200 * (y - z)], -1)


def colour_map(pixels: np.ndarray) -> np.ndarray:
    """Bytes (H, W, 3) -> index into NAMES for each pixel."""
    references = _lab(np.array(list(REFERENCE.values()), float))
    lab = _lab(pixels.astype(float))
    return ((lab[:, :, None, :] - references) ** 2).sum(-1).argmin(-1)


# --------------------------------------------------------------------------- regions


def regions(mask: np.ndarray) -> list[np.ndarray]:
    """Connected regions (4 neighbours) as masks, largest first."""
    height, width = mask.shape
    flat = mask.ravel()
    seen = np.zeros(flat.size, bool)
    found = []
    for start in np.flatnonzero(flat):
        if seen[start]:
            continue
        seen[start] = True
        stack, members = [int(start)], []
        while stack:
            at = stack.pop()
            members.append(at)
            column = at % width
            for there, inside in ((at - 1, column > 0), (at + 1, column < width - 1),
                                  (at - width, at >= width), (at + width, at < flat.size - width)):
                if inside and flat[there] and not seen[there]:
                    seen[there] = True
                    stack.append(there)
        if len(members) >= SMALLEST * flat.size:
            region = np.zeros(flat.size, bool)
            region[members] = True
            found.append(region.reshape(mask.shape))
    return sorted(found, key=lambda region: -int(region.sum()))


def _fill_holes(region: np.ndarray) -> np.ndarray:
    """The region with everything that it encloses."""
    outside = np.pad(~region, 1, constant_values=True)
    reached = np.zeros_like(outside)
    reached[0, :] = reached[-1, :] = reached[:, 0] = reached[:, -1] = True
    while True:  # grow along rows and columns until nothing is added
        grown = reached.copy()
        grown[1:] |= reached[:-1]
        grown[:-1] |= reached[1:]
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown &= outside
        if (grown == reached).all():
            return ~reached[1:-1, 1:-1]
        reached = grown


def _on_edge(region: np.ndarray) -> bool:
    return bool(region[0].any() or region[-1].any() or region[:, 0].any() or region[:, -1].any())


def _centre(region: np.ndarray) -> tuple[float, float]:
    """Centroid (x, y) in [0, 1]."""
    ys, xs = np.nonzero(region)
    return (xs.mean() + 0.5) / region.shape[1], (ys.mean() + 0.5) / region.shape[0]


def _box(region: np.ndarray) -> tuple[float, float, float, float]:
    ys, xs = np.nonzero(region)
    height, width = region.shape
    return xs.min() / width, ys.min() / height, (xs.max() + 1) / width, (ys.max() + 1) / height


# --------------------------------------------------------------------------- shape


def _polygon(points: list[tuple[float, float]]):
    """Membership test of a polygon (even-odd rule)."""

    def inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        odd = np.zeros(x.shape, bool)
        for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1]):
            if ay != by:
                odd ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
        return odd

    return inside


def _spokes(radii: list[float], turn: float = -90.0) -> list[tuple[float, float]]:
    angles = [math.radians(turn + 360 * i / len(radii)) for i in range(len(radii))]
    return [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles)]


def _plus(arm: float) -> list[tuple[float, float]]:
    return [(-arm, -1), (arm, -1), (arm, -arm), (1, -arm), (1, arm), (arm, arm),
            (arm, 1), (-arm, 1), (-arm, arm), (-1, arm), (-1, -arm), (-arm, -arm)]


def _heart(stretch: float) -> list[tuple[float, float]]:
    ts = [2 * math.pi * i / 60 for i in range(60)]
    return [(math.sin(t) ** 3, -stretch * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16)
            for t in ts]


def _moon(shift: float, bite: float):
    return lambda x, y: (x * x + y * y < 1) & ((x - shift) ** 2 + y * y > bite * bite)


OUTLINES = {
    "circle": [lambda x, y: x * x + y * y < 1],
    "square": [_polygon([(-1, -1), (1, -1), (1, 1), (-1, 1)])],
    "triangle": [_polygon([(0, -h), (1, 1), (-1, 1)]) for h in (0.6, 0.75, 0.95)],
    "star": [_polygon(_spokes([1, inner] * 5)) for inner in (0.38, 0.45, 0.5)],
    "diamond": [_polygon([(0, -1), (w, 0), (0, 1), (-w, 0)]) for w in (0.6, 0.75, 0.9)],
    "heart": [_polygon(_heart(stretch)) for stretch in (0.95, 1.05)],
    "hexagon": [_polygon(_spokes([1] * 6, 0)), _polygon(_spokes([1] * 6, 30))],
    "ring": [lambda x, y, i=i: (x * x + y * y < 1) & (x * x + y * y > i * i) for i in (0.45, 0.58, 0.7)],
    "cross": [_polygon(_plus(arm)) for arm in (0.28, 0.35, 0.42)],
    "oval": [lambda x, y, w=w: x * x + (y / w) ** 2 < 1 for w in (0.55, 0.65, 0.75)],
    "crescent": [_moon(0.45, 0.8), _moon(0.55, 0.85), _moon(0.35, 0.75)],
}


def normalise(mask: np.ndarray, spacing: float) -> np.ndarray:
    """A mask moved to its centroid and scaled to unit area, on a GRID x GRID raster.

    The raster spans [-1.25, 1.25]: the square root of the area is the unit.
    """
    ys, xs = np.nonzero(mask)
    unit = math.sqrt(len(xs)) * spacing
    axis = (np.arange(GRID) + 0.5) / GRID * 2.5 - 1.25
    columns = np.floor((axis * unit) / spacing + xs.mean() + 0.5).astype(int)
    rows = np.floor((axis * unit) / spacing + ys.mean() + 0.5).astype(int)
    inside_rows, inside_columns = (rows >= 0) & (rows < mask.shape[0]), (columns >= 0) & (columns < mask.shape[1])
    raster = np.zeros((GRID, GRID), bool)
    raster[np.ix_(inside_rows, inside_columns)] = mask[np.ix_(rows[inside_rows], columns[inside_columns])]
    return raster


def _outline_rasters() -> list[tuple[str, np.ndarray]]:
    axis = (np.arange(400) + 0.5) / 400 * 2.6 - 1.3
    x, y = np.meshgrid(axis, axis)
    return [(name, normalise(test(x, y), 1.0)) for name, tests in OUTLINES.items() for test in tests]


_RASTERS = _outline_rasters()


def name_shape(region: np.ndarray) -> tuple[str, float]:
    """The best-fitting shape's name, and its intersection over union."""
    raster = normalise(region, 1.0)
    scores = [((raster & other).sum() / (raster | other).sum(), name) for name, other in _RASTERS]
    score, name = max(scores)
    return name, float(score)


# --------------------------------------------------------------------------- verdict


def _background(names: np.ndarray, expected: dict) -> str | None:
    """What is wrong with the background, if anything."""
    side = max(1, round(BORDER * names.shape[0]))
    ring = np.ones(names.shape, bool)
    ring[side:-side, side:-side] = False
    share = {name: float((names[ring] == i).mean()) for i, name in enumerate(NAMES)}
    wanted = expected["colours"]
    if len(wanted) == 1:
        if share[wanted[0]] < 0.7:
            return f"background is {max(share, key=share.get)}, not {wanted[0]}"
        return None
    if expected["kind"] == "dotted":  # the outermost dots may miss the ring
        dots = float((names == NAMES.index(wanted[1])).mean())
        return None if share[wanted[0]] > 0.5 and dots > 0.04 else f"background lacks {' or '.join(wanted)}"
    if sum(share[name] for name in wanted) < 0.6 or min(share[name] for name in wanted) < 0.12:
        return f"background lacks {' or '.join(wanted)}"
    if expected["kind"] == "gradient":
        first, second = (NAMES.index(name) for name in wanted)
        top, bottom = names[:side], names[-side:]
        if (top == first).sum() <= (top == second).sum() or (bottom == second).sum() <= (bottom == first).sum():
            return "gradient runs the wrong way"
    return None


def _related(relation: str, first: np.ndarray, second: np.ndarray) -> bool:
    (ax, ay), (bx, by) = _centre(first), _centre(second)
    if relation in ("above", "below"):
        down = by - ay if relation == "above" else ay - by
        return down > 0.1 and abs(ax - bx) < down
    if relation in ("left of", "right of"):
        across = bx - ax if relation == "left of" else ax - bx
        return across > 0.1 and abs(ay - by) < across
    if relation == "inside":
        a, b = _box(first), _box(_fill_holes(second))
        return a[0] > b[0] and a[1] > b[1] and a[2] < b[2] and a[3] < b[3]
    return math.hypot(ax - bx, ay - by) > 0.1  # "and", "next to": anywhere, but apart


def _placed(place: str, region: np.ndarray) -> bool:
    x, y = _centre(region)
    wants = {"left": x < 0.42, "right": x > 0.58, "top": y < 0.42, "bottom": y > 0.58}
    if place == "center":
        return 0.36 < x < 0.64 and 0.36 < y < 0.64
    return all(wants[word] for word in place.split())


def _sized(size: str, region: np.ndarray, alone: bool) -> bool:
    box = _box(region)
    side = max(box[2] - box[0], box[3] - box[1])
    if alone:
        return {"small": side < 0.34, "medium": 0.3 < side < 0.56, "large": side > 0.52}[size]
    return {"small": side < 0.28, "medium": 0.24 < side < 0.42, "large": side > 0.36}[size]


def _candidates(names: np.ndarray, colour: str, background: list[str]) -> list[np.ndarray]:
    found = regions(names == NAMES.index(colour))
    return [region for region in found if not _on_edge(region)] if colour in background else found


def _shapes_match(expected: dict, found: list[np.ndarray]) -> list[str]:
    """Faults of the regions found for the expected shapes, in order."""
    faults = []
    shapes, relation = expected["shapes"], expected.get("relation")
    for index, (shape, region) in enumerate(zip(shapes, found)):
        outer = relation == "inside" and index == 1
        whole = region
        if outer and shape["shape"] != "ring":
            whole = _fill_holes(region)
        if outer and shape["shape"] == "ring":
            whole = region & ~_fill_holes(found[0])
        name, score = name_shape(whole)
        if name != shape["shape"] or score < LEAST_OVERLAP:
            faults.append(f"{shape['colour']} {shape['shape']} looks like {name} ({score:.2f})")
        if shape.get("where") and not _placed(shape["where"], whole):
            faults.append(f"{shape['colour']} {shape['shape']} is not at {shape['where']}")
        if shape.get("size") and not _sized(shape["size"], whole, len(shapes) == 1):
            faults.append(f"{shape['colour']} {shape['shape']} is not {shape['size']}")
    if relation and not _related(relation, found[0], found[1]):
        faults.append(f"not {relation}")
    return faults


def judge(pixels: np.ndarray, expected: dict) -> list[str]:
    """Faults of a picture (H, W, 3 bytes); none means that it shows what was asked for.

    expected: {"shapes": [{"colour", "shape", "where"?, "size"?}, ...],
               "background": {"kind", "colours"} or null, "relation": ... or null}
    """
    names = colour_map(pixels)
    background = expected.get("background")
    faults = []
    if background and (fault := _background(names, background)):
        faults.append(fault)
    behind = background["colours"] if background else []
    shapes = expected["shapes"]
    groups = [_candidates(names, shape["colour"], behind) for shape in shapes]
    same = len(shapes) == 2 and shapes[0]["colour"] == shapes[1]["colour"]
    for shape, group in zip(shapes, groups):
        if len(group) < (2 if same else 1):
            return [*faults, f"no {shape['colour']} {shape['shape']}"]
    orders = [[group[0] for group in groups]]
    if same:
        orders = [groups[0][:2], groups[0][1::-1]]
    faults += min((_shapes_match(expected, order) for order in orders), key=len)
    if background and background["kind"] == "plain":
        used = np.zeros(names.shape, bool)
        for region in orders[0]:
            used |= region
        others = [i for i, name in enumerate(NAMES) if name not in behind]
        for i in others:
            for region in regions((names == i) & ~used):
                if region.mean() > LARGEST_EXTRA:
                    faults.append(f"something {NAMES[i]} besides")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?")
    parser.add_argument("expected", nargs="?")
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    if arguments.prompts is None:
        faults = judge(np.array(Image.open(arguments.picture).convert("RGB")), json.loads(arguments.expected))
        print("right" if not faults else "; ".join(faults))
        sys.exit(bool(faults))
    right = 0
    prompts = json.loads(arguments.prompts.read_text())
    for index, entry in enumerate(prompts):
        pixels = np.array(Image.open(arguments.pictures / f"{index:02d}.png").convert("RGB"))
        faults = judge(pixels, entry["expected"])
        right += not faults
        print(f"{index:02d} {'right' if not faults else 'WRONG':5s} {entry['prompt']}  {'; '.join(faults)}")
    print(f"{right} of {len(prompts)} right")


if __name__ == "__main__":
    main()
