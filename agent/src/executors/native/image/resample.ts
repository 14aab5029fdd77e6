/**
 * Resizing pictures, latents and masks with PyTorch's numbers. Lanczos, which
 * ComfyUI borrows from Pillow, and its own bislerp stand in files of their own.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import { slice } from '../array/slicing.ts'
import type { Image, Tensor } from '../values.ts'
import { bislerp } from './bislerp.ts'
import { lanczos } from './lanczos.ts'
import { applyTaps, type Interpolation, tapsFor } from './taps.ts'

export interface Size {
  readonly width: number
  readonly height: number
}

export type Crop = 'disabled' | 'center'

/** Of [batch, height, width, channels] and [batch, height, width]. */
export const PICTURE_HEIGHT_AXIS = 1

/** Of [batch, channels, height, width]. */
const LATENT_HEIGHT_AXIS = 2

/**
 * Resizes a picture as ComfyUI's common_upscale.
 * @throws MeshError `node_failed` when a side of the result would be empty.
 */
export function resizePicture(
  image: Image,
  size: Size,
  method: Interpolation | 'lanczos',
  crop: Crop,
): Image {
  const cropped = cropToAspect(image, PICTURE_HEIGHT_AXIS, size, crop)
  if (method === 'lanczos') return lanczos(cropped, size.width, size.height)
  return interpolate(cropped, PICTURE_HEIGHT_AXIS, size, method)
}

/**
 * Resizes [batch, channels, height, width] as ComfyUI's common_upscale.
 * @throws MeshError `node_failed` when a side of the result would be empty.
 */
export function resizeLatent(
  samples: Tensor,
  size: Size,
  method: Interpolation | 'bislerp',
  crop: Crop,
): Tensor {
  const cropped = cropToAspect(samples, LATENT_HEIGHT_AXIS, size, crop)
  if (method === 'bislerp') return bislerp(cropped, size.width, size.height)
  return interpolate(cropped, LATENT_HEIGHT_AXIS, size, method)
}

/**
 * torch.nn.functional.interpolate over the axis of the height and the one after it,
 * that of the width (align_corners and antialias off).
 * @throws MeshError `node_failed` when a side of the result would be empty.
 */
export function interpolate(
  source: Tensor,
  heightAxis: number,
  size: Size,
  method: Interpolation,
): Tensor {
  assertNotEmpty(size)
  const wide = resizeAxis(source, heightAxis + 1, size.width, method)
  return resizeAxis(wide, heightAxis, size.height, method)
}

/** Python's round(): halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  if (value - floor !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}

function assertNotEmpty({ width, height }: Size): void {
  if (width >= 1 && height >= 1) return
  throw new MeshError(
    'node_failed',
    `A picture cannot be resized to ${width}x${height}: both sides need at least one pixel`,
  )
}

/** Cuts the middle out so that it has the aspect of `size`. */
function cropToAspect(source: Tensor, heightAxis: number, size: Size, crop: Crop): Tensor {
  assertNotEmpty(size)
  if (crop === 'disabled') return source
  const height = source.shape[heightAxis]!
  const width = source.shape[heightAxis + 1]!
  const oldAspect = width / height
  const newAspect = size.width / size.height
  const wider = oldAspect > newAspect
  const taller = oldAspect < newAspect
  const x = wider ? roundHalfEven((width - width * (newAspect / oldAspect)) / 2) : 0
  const y = taller ? roundHalfEven((height - height * (oldAspect / newAspect)) / 2) : 0
  const rows = slice(source, heightAxis, y, height - y * 2)
  return slice(rows, heightAxis + 1, x, width - x * 2)
}

function resizeAxis(source: Tensor, axis: number, to: number, method: Interpolation): Tensor {
  const from = source.shape[axis]!
  return from === to ? source : applyTaps(source, axis, tapsFor(method, from, to))
}
