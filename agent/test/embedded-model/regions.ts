/** Regions of a square picture as masks: how they are found, and where they lie. */

export interface Region {
  readonly side: number
  /** 1 inside, 0 outside; row by row. */
  readonly mask: Uint8Array
  readonly area: number
}

/** Of the picture's area: a disc of radius 9 in 256x256. What is smaller is no region. */
const SMALLEST = 0.004

export function regionOf(side: number, isInside: (index: number) => boolean): Region {
  const mask = Uint8Array.from({ length: side * side }, (_, index) => Number(isInside(index)))
  return { side, mask, area: mask.reduce((sum, bit) => sum + bit, 0) }
}

/** Connected regions (4 neighbours) of a mask, the largest first. */
export function connectedRegions({ side, mask }: Region): Region[] {
  const isLeft = mask.slice()
  const found: Region[] = []
  for (let start = 0; start < isLeft.length; start++) {
    if (isLeft[start] === 0) continue
    const members = flood(side, start, (index) => isLeft[index] === 1)
    for (const index of members) isLeft[index] = 0
    if (members.size < SMALLEST * mask.length) continue
    found.push(regionOf(side, (index) => members.has(index)))
  }
  return found.sort((a, b) => b.area - a.area)
}

/** The region with everything that it encloses. */
export function fillHoles({ side, mask }: Region): Region {
  const outside = new Set<number>()
  for (let index = 0; index < mask.length; index++) {
    if (!isOnEdge(index, side) || mask[index] === 1 || outside.has(index)) continue
    for (const reached of flood(side, index, (other) => mask[other] === 0)) outside.add(reached)
  }
  return regionOf(side, (index) => !outside.has(index))
}

function flood(side: number, start: number, belongs: (index: number) => boolean): Set<number> {
  const members = new Set([start])
  // Grows while it is walked.
  for (const at of members) {
    const column = at % side
    const neighbours = [
      column > 0 ? at - 1 : -1,
      column < side - 1 ? at + 1 : -1,
      at - side,
      at + side < side * side ? at + side : -1,
    ]
    for (const index of neighbours) if (index >= 0 && belongs(index)) members.add(index)
  }
  return members
}

function isOnEdge(index: number, side: number): boolean {
  const [row, column] = [Math.floor(index / side), index % side]
  return row === 0 || column === 0 || row === side - 1 || column === side - 1
}

export function touchesEdge({ side, mask }: Region): boolean {
  return mask.some((bit, index) => bit === 1 && isOnEdge(index, side))
}

export interface Place {
  /** Centroid, 0 to 1. */
  readonly x: number
  readonly y: number
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

export function placeOf({ side, mask, area }: Region): Place {
  let [sumX, sumY, left, top, right, bottom] = [0, 0, side, side, 0, 0]
  for (const [index, bit] of mask.entries()) {
    if (bit === 0) continue
    const [row, column] = [Math.floor(index / side), index % side]
    sumX += column
    sumY += row
    left = Math.min(left, column)
    right = Math.max(right, column + 1)
    top = Math.min(top, row)
    bottom = Math.max(bottom, row + 1)
  }
  return {
    x: (sumX / area + 0.5) / side,
    y: (sumY / area + 0.5) / side,
    left: left / side,
    top: top / side,
    right: right / side,
    bottom: bottom / side,
  }
}
