/**
 * The little tensor arithmetic that native nodes need: tensor.ts makes them,
 * slicing.ts cuts and joins them, arithmetic.ts computes with them.
 * Resampling pictures is image/'s business; networks run in sessions/.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Tensor } from '../values.ts'

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1
  for (const extent of shape) size *= extent
  return size
}

/**
 * A tensor over `data`, which is not copied.
 * @throws MeshError `internal` when the shape does not hold exactly `data`.
 */
export function tensor(data: Float32Array, shape: readonly number[]): Tensor {
  if (sizeOf(shape) !== data.length) {
    throw new MeshError('internal', `${data.length} values do not fill a tensor of [${shape}]`)
  }
  return { data, shape }
}

export function zeros(shape: readonly number[]): Tensor {
  return { data: new Float32Array(sizeOf(shape)), shape }
}

export function filled(shape: readonly number[], value: number): Tensor {
  return { data: new Float32Array(sizeOf(shape)).fill(value), shape }
}

export function copyOf(source: Tensor): Tensor {
  return { data: source.data.slice(), shape: source.shape }
}

/** The same data under another shape of the same size; nothing is copied. */
export function reshape(source: Tensor, shape: readonly number[]): Tensor {
  return tensor(source.data, shape)
}

export function sameShape(a: Tensor, b: Tensor): boolean {
  return a.shape.length === b.shape.length && a.shape.every((extent, i) => extent === b.shape[i])
}

/** @throws MeshError `internal` naming both shapes when they differ. */
export function assertSameShape(a: Tensor, b: Tensor): void {
  if (!sameShape(a, b)) {
    throw new MeshError('internal', `Tensors of [${a.shape}] and [${b.shape}] do not match`)
  }
}
