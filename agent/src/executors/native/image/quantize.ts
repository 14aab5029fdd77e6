/**
 * Pictures with few colours: Pillow's palette, its nearest-colour search and its
 * Floyd-Steinberg, and ComfyUI's ordered dithering.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Image } from '../values.ts'
import { medianCutPalette } from './median-cut.ts'
import { batchEntry, dimensionsOf, fromBytes, toBytes } from './pixels.ts'

export type Dither = 'none' | 'floyd-steinberg' | `bayer-${2 | 4 | 8 | 16}`

export const dithers: Dither[] = [
  'none',
  'floyd-steinberg',
  'bayer-2',
  'bayer-4',
  'bayer-8',
  'bayer-16',
]

/** Finds the palette entry that stands for a colour. */
type Nearest = (red: number, green: number, blue: number) => number

/**
 * Each picture of a batch with at most `colors` colours of its own.
 * @throws MeshError `node_failed` for pictures that are not RGB.
 */
export function quantize(image: Image, colors: number, dither: Dither): Image {
  const { batch, width, channels } = dimensionsOf(image)
  if (channels !== 3) {
    throw new MeshError(
      'node_failed',
      `Only RGB pictures can be quantized, not ${channels} channels`,
    )
  }
  const data = new Float32Array(image.data.length)
  for (let b = 0; b < batch; b++) {
    const pixels = toBytes(batchEntry(image, b).data)
    const palette = medianCutPalette(pixels, colors)
    const indices = mapToPalette(pixels, width, palette, dither)
    const mapped = new Uint8Array(pixels.length)
    for (const [i, index] of indices.entries()) {
      mapped.set(palette.subarray(index * 3, index * 3 + 3), i * 3)
    }
    data.set(fromBytes(mapped), b * mapped.length)
  }
  return { data, shape: image.shape }
}

function mapToPalette(
  pixels: Uint8Array,
  width: number,
  palette: Uint8Array,
  dither: Dither,
): Uint8Array {
  const nearest = nearestIn(palette)
  if (dither === 'floyd-steinberg') return diffuseError(pixels, width, palette, nearest)
  if (dither === 'none') return mapEach(pixels, nearest)
  const order = Number(dither.slice('bayer-'.length))
  return mapEach(addPattern(pixels, width, order, palette.length / 3), nearest)
}

function mapEach(pixels: Uint8Array, nearest: Nearest): Uint8Array {
  const indices = new Uint8Array(pixels.length / 3)
  for (let i = 0; i < indices.length; i++) {
    indices[i] = nearest(pixels[i * 3]!, pixels[i * 3 + 1]!, pixels[i * 3 + 2]!)
  }
  return indices
}

/**
 * Pillow's search: the entry nearest to the colour with the two lowest bits of each
 * channel cleared, which is remembered for all colours that share them.
 */
function nearestIn(palette: Uint8Array): Nearest {
  const remembered = new Int16Array(64 ** 3).fill(-1)
  return (red, green, blue) => {
    const slot = ((red >> 2) << 12) | ((green >> 2) << 6) | (blue >> 2)
    if (remembered[slot] === -1) {
      remembered[slot] = closestEntry(palette, red & ~3, green & ~3, blue & ~3)
    }
    return remembered[slot]!
  }
}

function closestEntry(palette: Uint8Array, red: number, green: number, blue: number): number {
  let closest = 0
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < palette.length; i += 3) {
    const distance =
      (palette[i]! - red) ** 2 + (palette[i + 1]! - green) ** 2 + (palette[i + 2]! - blue) ** 2
    if (distance < least) {
      least = distance
      closest = i / 3
    }
  }
  return closest
}

/** Floyd and Steinberg, "An adaptive algorithm for spatial greyscale" (1976); integers as Pillow. */
function diffuseError(
  pixels: Uint8Array,
  width: number,
  palette: Uint8Array,
  nearest: Nearest,
): Uint8Array {
  const indices = new Uint8Array(pixels.length / 3)
  // Errors of the row above and of this row, with a margin of one pixel on both sides.
  let above = new Int32Array((width + 2) * 3)
  let current = new Int32Array((width + 2) * 3)
  const colour = [0, 0, 0]
  for (let start = 0; start < indices.length; start += width) {
    for (let x = 0; x < width; x++) {
      const at = (x + 1) * 3
      const fromAbove = x === width - 1 ? errorsOfLastColumn(above, at) : errorsOf(above, at)
      for (let c = 0; c < 3; c++) {
        const error = 7 * current[at + c - 3]! + fromAbove[c]!
        const wanted = pixels[(start + x) * 3 + c]! + Math.trunc(error / 16)
        colour[c] = Math.min(Math.max(wanted, 0), 255)
      }
      const entry = nearest(colour[0]!, colour[1]!, colour[2]!)
      indices[start + x] = entry
      for (let c = 0; c < 3; c++) current[at + c] = colour[c]! - palette[entry * 3 + c]!
    }
    ;[above, current] = [current, above.fill(0)]
  }
  return indices
}

/** What the row above hands down to a pixel, in sixteenths, per channel. */
function errorsOf(above: Int32Array, at: number): readonly number[] {
  return [at, at + 1, at + 2].map((i) => 3 * above[i + 3]! + 5 * above[i]! + above[i - 3]!)
}

/** In the last column Pillow hands down to all channels what it kept of the blue one. */
function errorsOfLastColumn(above: Int32Array, at: number): readonly number[] {
  const blue = above[at + 2]!
  return [5 * blue + above[at - 1]!, blue, blue]
}

/** The picture with a repeating pattern added, stronger the fewer colours there are. */
function addPattern(pixels: Uint8Array, width: number, order: number, colors: number): Uint8Array {
  const spread = Math.fround((2 * 256) / colors)
  const pattern = bayerMatrix(order).map((value) => Math.fround(spread * value) + 0.5)
  return pixels.map((value, i) => {
    const pixel = Math.floor(i / 3)
    const row = Math.floor(pixel / width) % order
    const sum = Math.fround(value + Math.fround(pattern[row * order + ((pixel % width) % order)]!))
    return Math.min(Math.max(sum, 0), 255)
  })
}

/** Thresholds from -0.5 to 0.5, [order x order]; order is a power of two. Bayer (1973). */
function bayerMatrix(order: number): number[] {
  if (order === 1) return [0]
  const half = order / 2
  const coarse = bayerMatrix(half)
  const offsets = [-1.5, 0.5, 1.5, -0.5]
  return Array.from({ length: order * order }, (_, i) => {
    const row = Math.floor(i / order)
    const column = i % order
    const quarter = Math.floor(row / half) * 2 + Math.floor(column / half)
    return coarse[(row % half) * half + (column % half)]! + offsets[quarter]! / (order * order)
  })
}
