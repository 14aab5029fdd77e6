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
  const mask = new Uint8Array(side * side)
  let area = 0
  for (let index = 0; index < mask.length; index++) {
    if (!isInside(index)) continue
    mask[index] = 1
    area += 1
  }
  return { side, mask, area }
}

/** Connected regions (4 neighbours) of a mask, the largest first. */
export function connectedRegions({ side, mask }: Region): Region[] {
  const isLeft = mask.slice()
  const found: Region[] = []
  for (let start = 0; start < isLeft.length; start++) {
    if (isLeft[start] === 0) continue
    const members = takeConnected(side, start, isLeft)
    if (members.length < SMALLEST * mask.length) continue
    const own = new Uint8Array(mask.length)
    for (const index of members) own[index] = 1
    found.push({ side, mask: own, area: members.length })
  }
  return found.sort((a, b) => b.area - a.area)
}

/** The region with everything that it encloses. */
export function fillHoles({ side, mask }: Region): Region {
  const isEnclosed = mask.map((bit) => 1 - bit)
  for (let index = 0; index < mask.length; index++)
    if (isOnEdge(index, side) && isEnclosed[index] === 1) takeConnected(side, index, isEnclosed)
  return regionOf(side, (index) => mask[index] === 1 || isEnclosed[index] === 1)
}

/** What hangs together with `start` (4 neighbours) among the ones that are left; they are taken out. */
function takeConnected(side: number, start: number, isLeft: Uint8Array): number[] {
  const members = [start]
  isLeft[start] = 0
  const take = (index: number) => {
    if (isLeft[index] !== 1) return
    isLeft[index] = 0
    members.push(index)
  }
  // Grows while it is walked.
  for (const at of members) {
    const column = at % side
    if (column > 0) take(at - 1)
    if (column < side - 1) take(at + 1)
    take(at - side)
    take(at + side)
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
