/** Blurring and sharpening with ComfyUI's Gaussian, whose sigma counts in kernel radii. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Image } from '../values.ts'
import { dimensionsOf } from './pixels.ts'
import { applyTaps, type Taps } from './taps.ts'

/** What ComfyUI multiplies the strength of sharpening with. */
const SHARPEN_GAIN = 10

/**
 * The mean of every pixel's surroundings, 2 x radius + 1 pixels wide, mirrored at the edges.
 * @throws MeshError `node_failed` where the picture is too small to be mirrored that far.
 */
export function blur(image: Image, radiusPx: number, sigma: number): Image {
  const { height, width } = dimensionsOf(image)
  if (radiusPx >= Math.min(height, width)) {
    throw new MeshError(
      'node_failed',
      `A radius of ${radiusPx} needs a picture with sides of at least ${radiusPx + 1} pixels, ` +
        `and this one is ${width}x${height}: choose a smaller radius`,
    )
  }
  const weights = gaussian(radiusPx, sigma)
  const rows = applyTaps(image, 2, mirroredTaps(width, weights))
  return applyTaps(rows, 1, mirroredTaps(height, weights))
}

/** Every pixel pushed away from its blurred surroundings, clamped to 0..1. */
export function sharpen(image: Image, radiusPx: number, sigma: number, alpha: number): Image {
  const blurred = blur(image, radiusPx, sigma)
  const gain = SHARPEN_GAIN * alpha
  const data = image.data.map((value, i) => {
    return Math.min(Math.max(value * (1 + gain) - blurred.data[i]! * gain, 0), 1)
  })
  return { data, shape: image.shape }
}

/** Weights over -1 to 1 in 2 x radius + 1 steps; they sum to 1. */
function gaussian(radiusPx: number, sigma: number): number[] {
  const weights = Array.from({ length: radiusPx * 2 + 1 }, (_, i) => {
    const x = (i - radiusPx) / radiusPx
    return Math.exp(-(x * x) / (2 * sigma * sigma))
  })
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map((weight) => weight / total)
}

function mirroredTaps(cells: number, weights: readonly number[]): Taps {
  const perCell = weights.length
  const radius = (perCell - 1) / 2
  const taps: Taps = {
    perCell,
    indices: new Int32Array(cells * perCell),
    weights: new Float64Array(cells * perCell),
  }
  for (let cell = 0; cell < cells; cell++) {
    for (let tap = 0; tap < perCell; tap++) {
      const index = Math.abs(cell - radius + tap)
      taps.indices[cell * perCell + tap] = index < cells ? index : 2 * (cells - 1) - index
    }
    taps.weights.set(weights, cell * perCell)
  }
  return taps
}
