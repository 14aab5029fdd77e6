/**
 * A palette for a picture, by median cut with Pillow's choices: which box is cut
 * next, along which axis and where. Heckbert, "Color image quantization" (1982).
 */

/** A colour of the picture and how many pixels have it. */
interface Colour {
  readonly channels: readonly [red: number, green: number, blue: number]
  count: number
}

interface Box {
  readonly colours: readonly Colour[]
  readonly pixelCount: number
  /** Set once the box was cut; the half with the higher values comes first. */
  halves?: readonly [Box, Box]
}

/** Beyond so many colours the picture is looked at with one bit less a channel. */
const MAX_COLOURS = 65536

/** How much a step of red, green and blue adds to the luminance. */
const LUMINANCE = [77, 150, 29] as const

/**
 * At most `size` colours, as flat RGB bytes.
 * @param pixels RGB bytes of the whole picture, at least one pixel.
 */
export function medianCutPalette(pixels: Uint8Array, size: number): Uint8Array {
  const { colours, droppedBits } = countColours(pixels)
  const root: Box = { colours, pixelCount: pixels.length / 3 }
  cutBoxes(root, size)
  const boxes = leavesOf(root)
  const boxOf = new Map<number, number>()
  for (const [index, box] of boxes.entries()) {
    for (const { channels } of box.colours) boxOf.set(keyOf(...channels), index)
  }
  return meansOf(
    pixels,
    (r, g, b) => {
      return boxOf.get(keyOf(r >> droppedBits, g >> droppedBits, b >> droppedBits))!
    },
    boxes.length,
  )
}

function keyOf(red: number, green: number, blue: number): number {
  return (red << 16) | (green << 8) | blue
}

function countColours(pixels: Uint8Array): { colours: Colour[]; droppedBits: number } {
  let counts = new Map<number, number>()
  let droppedBits = 0
  for (let i = 0; i < pixels.length; i += 3) {
    const key = keyOf(
      pixels[i]! >> droppedBits,
      pixels[i + 1]! >> droppedBits,
      pixels[i + 2]! >> droppedBits,
    )
    counts.set(key, (counts.get(key) ?? 0) + 1)
    while (counts.size > MAX_COLOURS) {
      droppedBits++
      counts = halved(counts)
    }
  }
  const colours = Array.from(counts, ([key, count]): Colour => {
    return { channels: [key >> 16, (key >> 8) & 255, key & 255], count }
  })
  return { colours, droppedBits }
}

/** The same counts with one bit less a channel. */
function halved(counts: ReadonlyMap<number, number>): Map<number, number> {
  const result = new Map<number, number>()
  for (const [key, count] of counts) {
    const coarse = (key >> 1) & 0x7f7f7f
    result.set(coarse, (result.get(coarse) ?? 0) + count)
  }
  return result
}

/** Cuts the fullest box in two until there are `size`, or only boxes of one colour. */
function cutBoxes(root: Box, size: number): void {
  const queue: Box[] = []
  push(queue, root)
  for (let count = 1; count < size; count++) {
    let fullest = pop(queue)
    while (fullest !== undefined && fullest.colours.length === 1) fullest = pop(queue)
    if (fullest === undefined) return
    fullest.halves = cut(fullest)
    for (const half of fullest.halves) push(queue, half)
  }
}

function cut(box: Box): [Box, Box] {
  const axis = widestAxis(box.colours)
  const threshold = medianOf(box, axis)
  const high = box.colours.filter((colour) => colour.channels[axis]! >= threshold)
  const low = box.colours.filter((colour) => colour.channels[axis]! < threshold)
  return [boxOfColours(high), boxOfColours(low)]
}

function boxOfColours(colours: readonly Colour[]): Box {
  return { colours, pixelCount: colours.reduce((sum, { count }) => sum + count, 0) }
}

/** The channel whose range spans the most luminance; the first where several do. */
function widestAxis(colours: readonly Colour[]): 0 | 1 | 2 {
  const spans = ([0, 1, 2] as const).map((axis) => {
    let low = 255
    let high = 0
    for (const { channels } of colours) {
      low = Math.min(low, channels[axis])
      high = Math.max(high, channels[axis])
    }
    return (high - low) * LUMINANCE[axis]
  })
  return spans.indexOf(Math.max(...spans)) as 0 | 1 | 2
}

/**
 * The value from which on colours belong to the upper half: the first from the top
 * with which more than half of the pixels are counted, but never the lowest of all.
 */
function medianOf({ colours, pixelCount }: Box, axis: 0 | 1 | 2): number {
  const histogram = new Float64Array(256)
  let lowest = 255
  for (const { channels, count } of colours) {
    histogram[channels[axis]]! += count
    lowest = Math.min(lowest, channels[axis])
  }
  let counted = 0
  let value = 256
  while (counted * 2 <= pixelCount) counted += histogram[--value]!
  return Math.max(value, lowest + 1)
}

function leavesOf(box: Box): Box[] {
  return box.halves === undefined ? [box] : box.halves.flatMap(leavesOf)
}

/** The mean colour of the pixels of every box, rounded. */
function meansOf(
  pixels: Uint8Array,
  boxOf: (red: number, green: number, blue: number) => number,
  boxes: number,
): Uint8Array {
  const sums = new Float64Array(boxes * 3)
  const counts = new Float64Array(boxes)
  for (let i = 0; i < pixels.length; i += 3) {
    const box = boxOf(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!)
    for (let c = 0; c < 3; c++) sums[box * 3 + c]! += pixels[i + c]!
    counts[box]! += 1
  }
  return Uint8Array.from(sums, (sum, i) => Math.trunc(0.5 + sum / counts[Math.floor(i / 3)]!))
}

/**
 * A binary heap, the fullest box on top. Written out because boxes of equal size
 * must come off in the order in which Pillow's heap yields them.
 */
function push(heap: Box[], box: Box): void {
  let at = heap.length
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (box.pixelCount <= heap[parent]!.pixelCount) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = box
}

function pop(heap: Box[]): Box | undefined {
  const top = heap[0]
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return top
  let at = 0
  for (let child = 1; child < heap.length; child = at * 2 + 1) {
    const sibling = child + 1
    if (sibling < heap.length && heap[child]!.pixelCount < heap[sibling]!.pixelCount) {
      child = sibling
    }
    if (last.pixelCount > heap[child]!.pixelCount) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
  return top
}
