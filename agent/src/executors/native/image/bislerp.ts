/**
 * ComfyUI's "bislerp" for latents: bilinear resizing that turns the channel
 * vectors of neighbouring cells into each other instead of averaging them,
 * so that detail keeps its strength.
 */
import type { Tensor } from '../values.ts'
import { tapsFor } from './taps.ts'

/** Beyond this cosine two directions count as the same, or as opposite. */
const PARALLEL = 1 - 1e-5

/** Where the channel vectors of an axis lie in a flat array. */
interface Lines {
  readonly data: Float32Array
  /** Offset of the first value of every line to resize. */
  readonly starts: Int32Array
  /** Distance of neighbouring cells of a line. */
  readonly stride: number
  /** Distance of the channels of one cell. */
  readonly channelStride: number
}

/** @param samples [batch, channels, height, width] */
export function bislerp(samples: Tensor, width: number, height: number): Tensor {
  const [batch, channels, oldHeight, oldWidth] = samples.shape as [number, number, number, number]
  const wide = new Float32Array(batch * channels * oldHeight * width)
  slerpLines(
    rowLines(samples.data, batch, channels, oldHeight, oldWidth),
    rowLines(wide, batch, channels, oldHeight, width),
    { channels, from: oldWidth, to: width },
  )
  const data = new Float32Array(batch * channels * height * width)
  slerpLines(
    columnLines(wide, batch, channels, oldHeight, width),
    columnLines(data, batch, channels, height, width),
    { channels, from: oldHeight, to: height },
  )
  return { data, shape: [batch, channels, height, width] }
}

function rowLines(
  data: Float32Array,
  batch: number,
  channels: number,
  height: number,
  width: number,
): Lines {
  const starts = new Int32Array(batch * height)
  for (let i = 0; i < starts.length; i++) {
    starts[i] = Math.floor(i / height) * channels * height * width + (i % height) * width
  }
  return { data, starts, stride: 1, channelStride: height * width }
}

function columnLines(
  data: Float32Array,
  batch: number,
  channels: number,
  height: number,
  width: number,
): Lines {
  const starts = new Int32Array(batch * width)
  for (let i = 0; i < starts.length; i++) {
    starts[i] = Math.floor(i / width) * channels * height * width + (i % width)
  }
  return { data, starts, stride: width, channelStride: height * width }
}

function slerpLines(
  source: Lines,
  target: Lines,
  { channels, from, to }: { channels: number; from: number; to: number },
): void {
  const { indices, weights } = tapsFor('bilinear', from, to)
  const a = new Float64Array(channels)
  const b = new Float64Array(channels)
  for (let line = 0; line < source.starts.length; line++) {
    for (let cell = 0; cell < to; cell++) {
      read(source, source.starts[line]! + indices[cell * 2]! * source.stride, a)
      read(source, source.starts[line]! + indices[cell * 2 + 1]! * source.stride, b)
      slerpInto(a, b, weights[cell * 2 + 1]!)
      write(target, target.starts[line]! + cell * target.stride, a)
    }
  }
}

function read({ data, channelStride }: Lines, at: number, vector: Float64Array): void {
  for (let c = 0; c < vector.length; c++) vector[c] = data[at + c * channelStride]!
}

function write({ data, channelStride }: Lines, at: number, vector: Float64Array): void {
  for (let c = 0; c < vector.length; c++) data[at + c * channelStride] = vector[c]!
}

/** Turns `a` towards `b` by the share `ratio`, direction and length apart. */
function slerpInto(a: Float64Array, b: Float64Array, ratio: number): void {
  const lengthA = lengthOf(a)
  const lengthB = lengthOf(b)
  let cosine = 0
  if (lengthA > 0 && lengthB > 0) {
    for (let c = 0; c < a.length; c++) cosine += (a[c]! / lengthA) * (b[c]! / lengthB)
  }
  if (cosine > PARALLEL) return
  if (cosine < -PARALLEL) {
    for (let c = 0; c < a.length; c++) a[c] = a[c]! * (1 - ratio) + b[c]! * ratio
    return
  }
  const angle = Math.acos(cosine)
  const length = lengthA * (1 - ratio) + lengthB * ratio
  const shareA = (Math.sin((1 - ratio) * angle) / Math.sin(angle)) * length
  const shareB = (Math.sin(ratio * angle) / Math.sin(angle)) * length
  const factorA = lengthA > 0 ? shareA / lengthA : 0
  const factorB = lengthB > 0 ? shareB / lengthB : 0
  for (let c = 0; c < a.length; c++) a[c] = a[c]! * factorA + b[c]! * factorB
}

function lengthOf(vector: Float64Array): number {
  let sum = 0
  for (let c = 0; c < vector.length; c++) sum += vector[c]! * vector[c]!
  return Math.sqrt(sum)
}
