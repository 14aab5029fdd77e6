/**
 * Lanczos resizing with Pillow's numbers: ComfyUI turns a picture into 8-bit
 * pixels, lets Pillow resize them, and turns the result back. Pillow works in
 * fixed point and rounds to 8 bits after each of its two passes, so we do too.
 */
import type { Image } from '../values.ts'
import { batchEntry, dimensionsOf, fromBytes, toBytes } from './pixels.ts'

const LOBES = 3

/** Fraction bits of Pillow's weights: 32 less 8 for the pixel and 2 for overshoot. */
const PRECISION_BITS = 22

interface Kernel {
  /** First source cell of each output cell. */
  readonly starts: Int32Array
  /** How many source cells each output cell reads. */
  readonly counts: Int32Array
  /** Weights in fixed point, `stride` apart. */
  readonly weights: Int32Array
  readonly stride: number
}

/** Resizes every picture of a batch; the result has 256 levels. */
export function lanczos(image: Image, width: number, height: number): Image {
  const { batch, channels, ...old } = dimensionsOf(image)
  const data = new Float32Array(batch * height * width * channels)
  for (let b = 0; b < batch; b++) {
    const bytes = toBytes(batchEntry(image, b).data)
    if (old.width === width && old.height === height) {
      data.set(fromBytes(bytes), b * bytes.length)
      continue
    }
    // Pillow mixes colours weighted by their alpha.
    if (channels === 4) premultiply(bytes)
    const resized = resizeBytes(bytes, old, { width, height }, channels)
    if (channels === 4) unpremultiply(resized)
    data.set(fromBytes(resized), b * resized.length)
  }
  return { data, shape: [batch, height, width, channels] }
}

interface Sides {
  readonly width: number
  readonly height: number
}

/**
 * Rows first, unless the height loses more than twice as many pixels as the width:
 * so Pillow chooses since version 13, and each pass rounds.
 */
function resizeBytes(pixels: Uint8Array, old: Sides, size: Sides, channels: number): Uint8Array {
  const lostWidth = Math.max(old.width - size.width, 0)
  if (old.height - size.height > 2 * lostWidth) {
    const low = resizeColumns(pixels, old.height, size.height, old.width * channels)
    return resizeRows(low, size.height, old.width, size.width, channels)
  }
  const wide = resizeRows(pixels, old.height, old.width, size.width, channels)
  return resizeColumns(wide, old.height, size.height, size.width * channels)
}

function resizeRows(
  pixels: Uint8Array,
  rows: number,
  from: number,
  to: number,
  channels: number,
): Uint8Array {
  if (from === to) return pixels
  const kernel = kernelFor(from, to)
  const result = new Uint8Array(rows * to * channels)
  for (let row = 0; row < rows; row++) {
    const input = pixels.subarray(row * from * channels, (row + 1) * from * channels)
    const output = result.subarray(row * to * channels, (row + 1) * to * channels)
    applyKernel(kernel, input, output, channels)
  }
  return result
}

function resizeColumns(
  pixels: Uint8Array,
  from: number,
  to: number,
  rowLength: number,
): Uint8Array {
  if (from === to) return pixels
  const result = new Uint8Array(to * rowLength)
  applyKernel(kernelFor(from, to), pixels, result, rowLength)
  return result
}

/** Every output cell of `inner` values is a weighted sum of input cells of `inner` values. */
function applyKernel(kernel: Kernel, input: Uint8Array, output: Uint8Array, inner: number): void {
  const { starts, counts, weights, stride } = kernel
  for (let cell = 0; cell < starts.length; cell++) {
    const start = starts[cell]! * inner
    const count = counts[cell]!
    for (let i = 0; i < inner; i++) {
      let sum = 1 << (PRECISION_BITS - 1)
      for (let tap = 0; tap < count; tap++) {
        sum += weights[cell * stride + tap]! * input[start + tap * inner + i]!
      }
      output[cell * inner + i] = Math.min(Math.max(sum >> PRECISION_BITS, 0), 255)
    }
  }
}

function kernelFor(from: number, to: number): Kernel {
  const scale = from / to
  const filterScale = Math.max(scale, 1)
  const reach = LOBES * filterScale
  const stride = Math.ceil(reach) * 2 + 1
  const kernel: Kernel = {
    starts: new Int32Array(to),
    counts: new Int32Array(to),
    weights: new Int32Array(to * stride),
    stride,
  }
  for (let cell = 0; cell < to; cell++) {
    const center = (cell + 0.5) * scale
    const start = Math.max(Math.trunc(center - reach + 0.5), 0)
    const end = Math.min(Math.trunc(center + reach + 0.5), from)
    const weights = Array.from({ length: end - start }, (_, tap) =>
      lanczosWeight((tap + start - center + 0.5) * (1 / filterScale)),
    )
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    kernel.starts[cell] = start
    kernel.counts[cell] = weights.length
    kernel.weights.set(
      weights.map((weight) => toFixedPoint(weight / total)),
      cell * stride,
    )
  }
  return kernel
}

function toFixedPoint(weight: number): number {
  return Math.trunc(weight * (1 << PRECISION_BITS) + (weight < 0 ? -0.5 : 0.5))
}

function lanczosWeight(x: number): number {
  return x >= -LOBES && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI)
}

function premultiply(pixels: Uint8Array): void {
  for (let i = 0; i < pixels.length; i++) {
    if (i % 4 === 3) continue
    const product = pixels[i]! * pixels[i - (i % 4) + 3]! + 128
    pixels[i] = ((product >> 8) + product) >> 8
  }
}

function unpremultiply(pixels: Uint8Array): void {
  for (let i = 0; i < pixels.length; i++) {
    const alpha = pixels[i - (i % 4) + 3]!
    if (i % 4 === 3 || alpha === 0 || alpha === 255) continue
    pixels[i] = Math.min(Math.trunc((255 * pixels[i]!) / alpha), 255)
  }
}
