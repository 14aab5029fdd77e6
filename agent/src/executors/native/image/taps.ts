/**
 * Which source cells make up each cell of a resized axis, and with what weight:
 * the same cells and weights as torch.nn.functional.interpolate without corner
 * alignment and without antialiasing.
 */
import { sizeOf } from '../array/tensor.ts'
import type { Tensor } from '../values.ts'

const interpolations = ['nearest-exact', 'bilinear', 'area', 'bicubic'] as const

export type Interpolation = (typeof interpolations)[number]

/** Every output cell is the weighted sum of `perCell` source cells. */
export interface Taps {
  readonly perCell: number
  /** [cells x perCell] */
  readonly indices: Int32Array
  /** [cells x perCell] */
  readonly weights: Float64Array
}

/** Sharpness of the cubic convolution in PyTorch. */
const CUBIC = -0.75

export function tapsFor(method: Interpolation, from: number, to: number): Taps {
  switch (method) {
    case 'nearest-exact':
      return nearestTaps(from, to)
    case 'bilinear':
      return linearTaps(from, to)
    case 'bicubic':
      return cubicTaps(from, to)
    case 'area':
      return areaTaps(from, to)
  }
}

function emptyTaps(to: number, perCell: number): Taps {
  return {
    perCell,
    indices: new Int32Array(to * perCell),
    weights: new Float64Array(to * perCell),
  }
}

function nearestTaps(from: number, to: number): Taps {
  const taps = emptyTaps(to, 1)
  // In float32 as PyTorch, so that a cell on the border of two falls to the same side.
  const scale = Math.fround(from / to)
  for (let cell = 0; cell < to; cell++) {
    taps.indices[cell] = Math.min(Math.floor(Math.fround((cell + 0.5) * scale)), from - 1)
  }
  taps.weights.fill(1)
  return taps
}

function linearTaps(from: number, to: number): Taps {
  const taps = emptyTaps(to, 2)
  const scale = from / to
  for (let cell = 0; cell < to; cell++) {
    const position = Math.max((cell + 0.5) * scale - 0.5, 0)
    const left = Math.min(Math.floor(position), from - 1)
    taps.indices[cell * 2] = left
    taps.indices[cell * 2 + 1] = Math.min(left + 1, from - 1)
    taps.weights[cell * 2] = 1 - (position - left)
    taps.weights[cell * 2 + 1] = position - left
  }
  return taps
}

function cubicTaps(from: number, to: number): Taps {
  const taps = emptyTaps(to, 4)
  const scale = from / to
  for (let cell = 0; cell < to; cell++) {
    const position = (cell + 0.5) * scale - 0.5
    const left = Math.floor(position)
    for (let tap = 0; tap < 4; tap++) {
      const index = left - 1 + tap
      taps.indices[cell * 4 + tap] = Math.min(Math.max(index, 0), from - 1)
      taps.weights[cell * 4 + tap] = cubicWeight(Math.abs(position - index))
    }
  }
  return taps
}

/** Keys, "Cubic convolution interpolation for digital image processing" (1981). */
function cubicWeight(distance: number): number {
  const d = distance
  if (d <= 1) return ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1
  if (d < 2) return ((CUBIC * d - 5 * CUBIC) * d + 8 * CUBIC) * d - 4 * CUBIC
  return 0
}

/** Plain means over the source cells that an output cell touches (adaptive average pooling). */
function areaTaps(from: number, to: number): Taps {
  const spans = Array.from({ length: to }, (_, cell) => {
    const start = Math.floor((cell * from) / to)
    return { start, count: Math.ceil(((cell + 1) * from) / to) - start }
  })
  const taps = emptyTaps(to, Math.max(...spans.map((span) => span.count)))
  for (const [cell, { start, count }] of spans.entries()) {
    for (let tap = 0; tap < taps.perCell; tap++) {
      const used = tap < count
      taps.indices[cell * taps.perCell + tap] = used ? start + tap : start
      taps.weights[cell * taps.perCell + tap] = used ? 1 / count : 0
    }
  }
  return taps
}

/** The cells of one axis of a tensor made anew from its old cells. */
export function applyTaps(source: Tensor, axis: number, taps: Taps): Tensor {
  const from = source.shape[axis]!
  const to = taps.indices.length / taps.perCell
  const outer = sizeOf(source.shape.slice(0, axis))
  const inner = sizeOf(source.shape.slice(axis + 1))
  const data = new Float32Array(outer * to * inner)
  for (let o = 0; o < outer; o++) {
    const input = source.data.subarray(o * from * inner, (o + 1) * from * inner)
    const output = data.subarray(o * to * inner, (o + 1) * to * inner)
    combine(input, output, inner, taps)
  }
  return { data, shape: source.shape.map((extent, i) => (i === axis ? to : extent)) }
}

function combine(input: Float32Array, output: Float32Array, inner: number, taps: Taps): void {
  const { perCell, indices, weights } = taps
  const cells = indices.length / perCell
  for (let cell = 0; cell < cells; cell++) {
    const first = cell * perCell
    for (let i = 0; i < inner; i++) {
      let sum = 0
      for (let tap = first; tap < first + perCell; tap++) {
        sum += weights[tap]! * input[indices[tap]! * inner + i]!
      }
      output[cell * inner + i] = sum
    }
  }
}
