/** Mixing two pictures of one size, in the modes of ComfyUI's ImageBlend. */
import { MeshError } from '@comfymesh/protocol/errors'
import { map, zip } from '../array/arithmetic.ts'
import { repeatTo } from '../array/slicing.ts'
import type { Image } from '../values.ts'
import { matchChannels } from './pixels.ts'
import { resizePicture } from './resample.ts'

/** The blended value of a pixel of the first and one of the second picture. */
type Blend = (first: number, second: number) => number

/** W3C Compositing and Blending, section 10, but for "difference", which keeps its sign. */
const blends = {
  normal: (_first, second) => second,
  multiply: (first, second) => first * second,
  screen: (first, second) => 1 - (1 - first) * (1 - second),
  overlay: (first, second) =>
    first <= 0.5 ? 2 * first * second : 1 - 2 * (1 - first) * (1 - second),
  soft_light: (first, second) =>
    second <= 0.5
      ? first - (1 - 2 * second) * first * (1 - first)
      : first + (2 * second - 1) * (lightened(first) - first),
  difference: (first, second) => first - second,
} as const satisfies Record<string, Blend>

export type BlendMode = keyof typeof blends

export const blendModes = Object.keys(blends) as BlendMode[]

function lightened(value: number): number {
  return value <= 0.25 ? ((16 * value - 12) * value + 4) * value : Math.sqrt(value)
}

/**
 * `factor` of the blend and the rest of the first picture, clamped to 0..1. The
 * second takes the size of the first.
 * @throws MeshError `node_failed` for batches of different lengths, neither of one picture.
 */
export function blendPictures(first: Image, second: Image, factor: number, mode: BlendMode): Image {
  const [, height, width] = first.shape
  const channelled = matchChannels(first, second)
  const size = { width: width!, height: height! }
  const fitted = resizePicture(channelled, size, 'bicubic', 'center')
  const batch = commonBatch(first.shape[0]!, fitted.shape[0]!)
  const blend: Blend = blends[mode]
  const mixed = zip(repeatTo(first, 0, batch), repeatTo(fitted, 0, batch), (a, b) => {
    return a * (1 - factor) + blend(a, b) * factor
  })
  return map(mixed, (value) => Math.min(Math.max(value, 0), 1))
}

function commonBatch(a: number, b: number): number {
  if (a === b || b === 1) return a
  if (a === 1) return b
  throw new MeshError('node_failed', `Batches of ${a} and ${b} pictures cannot be blended`)
}
