/** What VAEEncodeForInpaint does to its picture and mask before encoding. */
import { MeshError } from '@comfymesh/protocol/errors'
import { map } from '../array/arithmetic.ts'
import { repeatTo, slice } from '../array/slicing.ts'
import type { Image, Mask } from '../values.ts'
import { dimensionsOf } from './pixels.ts'
import { interpolate, PICTURE_HEIGHT_AXIS, roundHalfEven } from './resample.ts'
import { applyTaps } from './taps.ts'

/** The middle of a picture or mask with sides that `unitPx` divides. */
export function cropToUnits<T extends Image | Mask>(source: T, unitPx: number): Image {
  return [1, 2].reduce<Image>((cropped, axis) => {
    const extent = cropped.shape[axis]!
    return slice(cropped, axis, Math.floor((extent % unitPx) / 2), extent - (extent % unitPx))
  }, source)
}

export interface Inpainting {
  /** Grey where the mask is set, so that the old content leaves no trace. */
  readonly pixels: Image
  /** Grown, and only 0 and 1. */
  readonly noiseMask: Mask
}

/**
 * @param unitPx pixels per latent cell.
 * @param growByPx width of the square that every masked pixel grows to.
 * @throws MeshError `node_failed` where there are neither one mask nor as many as pictures.
 */
export function prepareInpainting(
  image: Image,
  mask: Mask,
  unitPx: number,
  growByPx: number,
): Inpainting {
  const { height, width } = dimensionsOf(image)
  const fitted = interpolate(mask, PICTURE_HEIGHT_AXIS, { height, width }, 'bilinear')
  const chosen = map(cropToUnits(fitted, unitPx), roundHalfEven)
  return {
    pixels: neutralise(cropToUnits(image, unitPx), chosen),
    noiseMask: growByPx === 0 ? chosen : grow(chosen, growByPx),
  }
}

function neutralise(image: Image, mask: Mask): Image {
  const { batch, channels } = dimensionsOf(image)
  if (mask.shape[0] !== 1 && mask.shape[0] !== batch) {
    throw new MeshError('node_failed', `${mask.shape[0]} masks do not fit ${batch} pictures`)
  }
  const masks = repeatTo(mask, 0, batch).data
  const data = image.data.map((value, i) => {
    return (value - 0.5) * (1 - masks[Math.floor(i / channels)]!) + 0.5
  })
  return { data, shape: image.shape }
}

/** Every set pixel becomes a square; one of even size reaches one pixel further down and right. */
function grow(mask: Mask, sizePx: number): Mask {
  const tall = applyTaps(mask, 1, windowTaps(mask.shape[1]!, sizePx))
  const grown = applyTaps(tall, 2, windowTaps(mask.shape[2]!, sizePx))
  return map(grown, (count) => Math.min(count, 1))
}

/** Counts the `size` cells around each cell; cells beyond the edge count nothing. */
function windowTaps(cells: number, size: number) {
  const indices = new Int32Array(cells * size)
  const weights = new Float64Array(cells * size)
  for (let i = 0; i < indices.length; i++) {
    const index = Math.floor(i / size) - Math.ceil((size - 1) / 2) + (i % size)
    const inside = index >= 0 && index < cells
    indices[i] = inside ? index : 0
    weights[i] = inside ? 1 : 0
  }
  return { perCell: size, indices, weights }
}
