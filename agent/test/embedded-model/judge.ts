/**
 * Tells by colour and geometry alone whether a picture shows what its prompt asked for;
 * the method and its limits are those of training/judge.py.
 */
import { type Colour, type ColourMap, colours, nameColours } from './colours.ts'
import { nameShape } from './outlines.ts'
import {
  connectedRegions,
  fillHoles,
  placeOf,
  type Region,
  regionOf,
  touchesEdge,
} from './regions.ts'

export interface Expected {
  readonly shapes: readonly ExpectedShape[]
  readonly background: {
    readonly kind: 'plain' | 'dotted' | 'gradient' | 'striped' | 'checkered'
    readonly colours: readonly Colour[]
  } | null
  readonly relation: string | null
}

interface ExpectedShape {
  readonly colour: Colour
  readonly shape: string
  /** `left`, `top right`, `center`, ... */
  readonly where?: string
  readonly size?: 'small' | 'medium' | 'large'
}

/** The outermost ring, of the picture's side. */
const BORDER = 6 / 256
const LARGEST_EXTRA = 0.006
const LEAST_OVERLAP = 0.78

/**
 * @param pixels RGB bytes of a square picture.
 * @returns the faults; none means that it shows what was asked for.
 */
export function judge(pixels: Uint8Array, expected: Expected): string[] {
  const map = nameColours(pixels)
  const { background, shapes } = expected
  const behind = background?.colours ?? []
  const faults = background === null ? [] : backgroundFaults(map, background)
  const groups = shapes.map(({ colour }) => candidates(map, colour, behind))
  const areAlike = shapes.length === 2 && shapes[0]!.colour === shapes[1]!.colour
  for (const [index, { colour, shape }] of shapes.entries()) {
    if (groups[index]!.length < (areAlike ? 2 : 1)) return [...faults, `no ${colour} ${shape}`]
  }
  const [first, second] = groups[0]!
  const orders = areAlike
    ? [
        [first!, second!],
        [second!, first!],
      ]
    : [groups.map(([largest]) => largest!)]
  const best = orders
    .map((order) => shapeFaults(expected, order))
    .reduce((least, one) => (one.length < least.length ? one : least))
  const extras = background?.kind === 'plain' ? extraFaults(map, orders[0]!, behind) : []
  return [...faults, ...best, ...extras]
}

function backgroundFaults(
  { side, names }: ColourMap,
  { kind, colours: wanted }: NonNullable<Expected['background']>,
): string[] {
  const width = Math.max(1, Math.round(BORDER * side))
  const isRing = (index: number) => {
    const [row, column] = [Math.floor(index / side), index % side]
    return Math.min(row, column, side - 1 - row, side - 1 - column) < width
  }
  const share = (colour: Colour, of: (index: number) => boolean) => {
    const chosen = [...names.keys()].filter(of)
    return chosen.filter((index) => colours[names[index]!] === colour).length / chosen.length
  }
  const onRing = wanted.map((colour) => share(colour, isRing))
  const lacking = [`background lacks ${wanted.join(' or ')}`]
  if (wanted.length === 1) return onRing[0]! < 0.7 ? lacking : []
  // The outermost dots may miss the ring.
  if (kind === 'dotted') {
    return onRing[0]! > 0.5 && share(wanted[1]!, () => true) > 0.04 ? [] : lacking
  }
  if (onRing.reduce((sum, one) => sum + one) < 0.6 || Math.min(...onRing) < 0.12) return lacking
  if (kind !== 'gradient') return []
  const prevails = (one: Colour, other: Colour, of: (index: number) => boolean) =>
    share(one, of) > share(other, of)
  const isRight =
    prevails(wanted[0]!, wanted[1]!, (index) => index < width * side) &&
    prevails(wanted[1]!, wanted[0]!, (index) => index >= (side - width) * side)
  return isRight ? [] : ['gradient runs the wrong way']
}

/** Regions of a colour; where the background has it too, those that do not reach the edge. */
function candidates(map: ColourMap, colour: Colour, behind: readonly Colour[]): Region[] {
  const found = connectedRegions(maskOf(map, colour))
  return behind.includes(colour) ? found.filter((region) => !touchesEdge(region)) : found
}

function maskOf({ side, names }: ColourMap, colour: Colour): Region {
  return regionOf(side, (index) => colours[names[index]!] === colour)
}

/** Faults of the regions found for the expected shapes, in order. */
function shapeFaults({ shapes, relation }: Expected, found: readonly Region[]): string[] {
  const faults: string[] = []
  for (const [index, { colour, shape, where, size }] of shapes.entries()) {
    const whole = relation === 'inside' && index === 1 ? outerShape(shape, found) : found[index]!
    const { name, score } = nameShape(whole)
    const what = `${colour} ${shape}`
    if (name !== shape || score < LEAST_OVERLAP) {
      faults.push(`${what} looks like ${name} (${score.toFixed(2)})`)
    }
    if (where !== undefined && !isPlaced(where, whole)) faults.push(`${what} is not at ${where}`)
    if (size !== undefined && !isSized(size, whole, shapes.length === 1)) {
      faults.push(`${what} is not ${size}`)
    }
  }
  if (relation !== null && !areRelated(relation, found[0]!, found[1]!)) {
    faults.push(`not ${relation}`)
  }
  return faults
}

/** The shape around another, its hole filled; a ring keeps one. */
function outerShape(shape: string, [inner, outer]: readonly Region[]): Region {
  if (shape !== 'ring') return fillHoles(outer!)
  const filled = fillHoles(inner!)
  return regionOf(outer!.side, (index) => outer!.mask[index] === 1 && filled.mask[index] === 0)
}

function areRelated(relation: string, first: Region, second: Region): boolean {
  const [a, b] = [placeOf(first), placeOf(second)]
  const [across, down] = [b.x - a.x, b.y - a.y]
  const leads = (distance: number, aside: number) => distance > 0.1 && Math.abs(aside) < distance
  switch (relation) {
    case 'above':
      return leads(down, across)
    case 'below':
      return leads(-down, across)
    case 'left of':
      return leads(across, down)
    case 'right of':
      return leads(-across, down)
    case 'inside': {
      const around = placeOf(fillHoles(second))
      return (
        a.left > around.left &&
        a.top > around.top &&
        a.right < around.right &&
        a.bottom < around.bottom
      )
    }
    default:
      // `and`, `next to`: anywhere, but apart.
      return Math.hypot(across, down) > 0.1
  }
}

function isPlaced(where: string, region: Region): boolean {
  const { x, y } = placeOf(region)
  const isAt: { readonly [word: string]: boolean } = {
    left: x < 0.42,
    right: x > 0.58,
    top: y < 0.42,
    bottom: y > 0.58,
    center: Math.abs(x - 0.5) < 0.14 && Math.abs(y - 0.5) < 0.14,
  }
  return where.split(' ').every((word) => isAt[word])
}

/** The longer side of the box around it, of the picture's; pairs are smaller. */
function isSized(size: NonNullable<ExpectedShape['size']>, region: Region, isAlone: boolean) {
  const { left, top, right, bottom } = placeOf(region)
  const side = Math.max(right - left, bottom - top)
  const [small, least, most, large] = isAlone ? [0.34, 0.3, 0.56, 0.52] : [0.28, 0.24, 0.42, 0.36]
  return {
    small: side < small!,
    medium: side > least! && side < most!,
    large: side > large!,
  }[size]
}

/** On a plain background nothing else may be seen, nor a second of what was asked for once. */
function extraFaults(
  map: ColourMap,
  found: readonly Region[],
  behind: readonly Colour[],
): string[] {
  const isUsed = (index: number) => found.some(({ mask }) => mask[index] === 1)
  const total = map.names.length
  return colours
    .filter((colour) => !behind.includes(colour))
    .flatMap((colour) => {
      const { mask } = maskOf(map, colour)
      const rest = regionOf(map.side, (index) => mask[index] === 1 && !isUsed(index))
      return connectedRegions(rest)
        .filter(({ area }) => area / total > LARGEST_EXTRA)
        .map(() => `something ${colour} besides`)
    })
}
