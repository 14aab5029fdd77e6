/** Between float pictures, 0 to 1, and 8-bit pixels, with ComfyUI's roundings. */
import { MeshError } from '@comfymesh/protocol/errors'
import { concat, slice } from '../array/slicing.ts'
import { filled } from '../array/tensor.ts'
import type { Image, Tensor } from '../values.ts'

export interface Dimensions {
  readonly batch: number
  readonly height: number
  readonly width: number
  readonly channels: number
}

/** The sides of a [batch, height, width, channels] tensor. */
export function dimensionsOf(image: Image): Dimensions {
  const [batch, height, width, channels] = image.shape
  if (image.shape.length !== 4) {
    throw new MeshError('internal', `An image has 4 dimensions, not [${image.shape.join(', ')}]`)
  }
  return { batch: batch!, height: height!, width: width!, channels: channels! }
}

/** One entry of a batch, without copying. */
export function batchEntry(tensor: Tensor, index: number): Tensor {
  const [, ...rest] = tensor.shape
  const size = rest.reduce((product, side) => product * side, 1)
  return { data: tensor.data.subarray(index * size, (index + 1) * size), shape: [1, ...rest] }
}

/** 0..1 to 0..255 as ComfyUI does it: scaled, clamped, and cut off rather than rounded. */
export function toBytes(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length)
  for (let i = 0; i < values.length; i++) {
    // NumPy multiplies in float32, which can land on the other side of an integer.
    const scaled = Math.fround(255 * values[i]!)
    bytes[i] = scaled >= 255 ? 255 : scaled > 0 ? scaled | 0 : 0
  }
  return bytes
}

/** 0..255 to 0..1. */
export function fromBytes(bytes: Uint8Array): Float32Array {
  const values = new Float32Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) values[i] = bytes[i]! / 255
  return values
}

/**
 * `source` with as many channels as `destination`: surplus ones are cut off, a
 * missing alpha is added as opaque.
 * @throws MeshError `node_failed` where more than an alpha channel is missing.
 */
export function matchChannels(destination: Image, source: Image): Image {
  const { channels: wanted } = dimensionsOf(destination)
  const { channels: given } = dimensionsOf(source)
  if (given === wanted) return source
  if (given > wanted) return slice(source, 3, 0, wanted)
  return padChannel(source, wanted)
}

/** One more channel, filled with 1. */
export function padChannel(source: Image, wanted: number): Image {
  const { channels } = dimensionsOf(source)
  if (wanted !== channels + 1) {
    throw new MeshError(
      'node_failed',
      `Pictures of ${channels} and ${wanted} channels cannot be combined`,
    )
  }
  const opaque = filled([...source.shape.slice(0, 3), 1], 1)
  return concat([source, opaque], 3)
}
