/**
 * Names a region's shape: it is moved to its centroid, scaled to unit area and compared with
 * outlines treated the same way. Nothing is turned: a square on its corner is a diamond.
 */
import { placeOf, type Region, regionOf } from './regions.ts'

/** Whether a point belongs to a shape; shapes lie within -1 to 1, y downwards. */
type Outline = (x: number, y: number) => boolean
type Point = readonly [x: number, y: number]

const each = <T>(values: readonly T[], make: (value: T) => Outline): Outline[] => values.map(make)

/** Some come in a few proportions. */
const outlines: { readonly [shape: string]: readonly Outline[] } = {
  circle: [(x, y) => x * x + y * y < 1],
  square: [polygon(corners(1))],
  triangle: each([0.6, 0.75, 0.95], (h) =>
    polygon([
      [0, -h],
      [1, 1],
      [-1, 1],
    ]),
  ),
  star: each([0.38, 0.45, 0.5], (inner) =>
    polygon(spokes([1, inner, 1, inner, 1, inner, 1, inner, 1, inner], -90)),
  ),
  diamond: each([0.6, 0.75, 0.9], (w) =>
    polygon([
      [0, -1],
      [w, 0],
      [0, 1],
      [-w, 0],
    ]),
  ),
  heart: each([0.95, 1.05], (stretch) => polygon(heart(stretch))),
  hexagon: each([0, 30], (turn) => polygon(spokes([1, 1, 1, 1, 1, 1], turn))),
  ring: each([0.45, 0.58, 0.7], (inner) => (x, y) => {
    const squared = x * x + y * y
    return squared < 1 && squared > inner * inner
  }),
  cross: each([0.28, 0.35, 0.42], (arm) => (x, y) => {
    const [across, along] = [Math.abs(x), Math.abs(y)]
    return Math.max(across, along) < 1 && Math.min(across, along) < arm
  }),
  oval: each([0.55, 0.65, 0.75], (w) => (x, y) => x * x + (y / w) ** 2 < 1),
  crescent: each(
    [
      [0.45, 0.8],
      [0.55, 0.85],
      [0.35, 0.75],
    ] as const,
    ([shift, bite]) =>
      (x, y) =>
        x * x + y * y < 1 && (x - shift) ** 2 + y * y > bite * bite,
  ),
}

/** Even-odd rule. */
function polygon(points: readonly Point[]): Outline {
  return (x, y) => {
    let isInside = false
    let [ax, ay] = points.at(-1)!
    for (const [bx, by] of points) {
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) isInside = !isInside
      ax = bx
      ay = by
    }
    return isInside
  }
}

function corners(half: number): Point[] {
  return [
    [-half, -half],
    [half, -half],
    [half, half],
    [-half, half],
  ]
}

/** Points around the centre at these distances, the first at `turn` degrees. */
function spokes(radii: readonly number[], turn: number): Point[] {
  return radii.map((radius, index) => {
    const angle = ((turn + (360 * index) / radii.length) * Math.PI) / 180
    return [radius * Math.cos(angle), radius * Math.sin(angle)]
  })
}

/** https://mathworld.wolfram.com/HeartCurve.html, the sixth. */
function heart(stretch: number): Point[] {
  return Array.from({ length: 60 }, (_, index) => {
    const t = (2 * Math.PI * index) / 60
    const height = 13 * Math.cos(t) - 5 * Math.cos(2 * t) - 2 * Math.cos(3 * t) - Math.cos(4 * t)
    return [Math.sin(t) ** 3, (-stretch * height) / 16]
  })
}

const GRID = 64
/** Of the raster, in units of the root of the area. */
const SPAN = 2.5

function normalise(region: Region): Uint8Array {
  const { side, mask, area } = region
  const { x, y } = placeOf(region)
  const unit = Math.sqrt(area)
  const raster = new Uint8Array(GRID * GRID)
  for (let at = 0; at < raster.length; at++) {
    const offset = (index: number) => (((index + 0.5) / GRID) * SPAN - SPAN / 2) * unit
    const row = Math.floor(offset(Math.floor(at / GRID)) + y * side)
    const column = Math.floor(offset(at % GRID) + x * side)
    const isInside = row >= 0 && row < side && column >= 0 && column < side
    if (isInside) raster[at] = mask[row * side + column]!
  }
  return raster
}

const DRAWN_SIDE = 400
const DRAWN_SPAN = 2.6

const known = Object.entries(outlines).flatMap(([name, variants]) =>
  variants.map((outline) => ({ name, raster: normalise(draw(outline)) })),
)

function draw(outline: Outline): Region {
  const at = (index: number) => ((index + 0.5) / DRAWN_SIDE) * DRAWN_SPAN - DRAWN_SPAN / 2
  return regionOf(DRAWN_SIDE, (index) =>
    outline(at(index % DRAWN_SIDE), at(Math.floor(index / DRAWN_SIDE))),
  )
}

/** The shape that fits best, and how well: intersection over union. */
export function nameShape(region: Region): { readonly name: string; readonly score: number } {
  const raster = normalise(region)
  const scores = known.map(({ name, raster: other }) => ({ name, score: overlap(raster, other) }))
  return scores.reduce((best, one) => (one.score > best.score ? one : best))
}

function overlap(a: Uint8Array, b: Uint8Array): number {
  let [both, either] = [0, 0]
  for (let index = 0; index < a.length; index++) {
    both += a[index]! & b[index]!
    either += a[index]! | b[index]!
  }
  return both / either
}
