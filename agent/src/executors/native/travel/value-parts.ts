/**
 * What a value is in a file: tensors, each in its own type, and a JSON structure in which
 * `{ tensor: name }` stands for one of them.
 */
import type { JsonValue } from '@comfymesh/protocol/json'
import { z } from 'zod'

interface Arrays {
  readonly F32: Float32Array
  readonly F64: Float64Array
  readonly I64: BigInt64Array
}

export type ArrayType = keyof Arrays

/** The types of the format that our values have, and the arrays that hold them. */
export const arrayTypes = {
  F32: Float32Array,
  F64: Float64Array,
  I64: BigInt64Array,
} satisfies { [T in ArrayType]: new (length: number) => Arrays[T] }

/** A contiguous row-major array of one of the types. */
export interface TypedTensor<T extends ArrayType = ArrayType> {
  readonly data: Arrays[T]
  readonly shape: readonly number[]
}

/** What the extents of a shape are: a number where it is fixed, the name of the axis elsewhere. */
export type Axes = readonly (number | string)[]

export const tensorReferenceSchema = z.strictObject({ tensor: z.string() })

export type TensorReference = z.infer<typeof tensorReferenceSchema>

/** Collects the tensors of a value that is being written. */
export interface PartsWriter {
  /**
   * A tensor that stands in several places of a value is written once, under its first name.
   * @throws RangeError for a shape that is not as the axes say.
   */
  put(name: string, tensor: TypedTensor, axes: Axes): TensorReference
}

/** Gives the tensors of a value that is being read. */
export interface PartsReader {
  /** As the file has it; nothing of it was checked. */
  readonly structure: JsonValue
  /**
   * Reads a tensor, after its type and shape were found to be as they have to be.
   * @throws RangeError where they are not, or where the file has none of this name.
   */
  get<T extends ArrayType>(reference: TensorReference, type: T, axes: Axes): Promise<TypedTensor<T>>
}

/** @throws RangeError for another number of axes, another extent than a fixed one, or none at all. */
export function checkShape(name: string, shape: readonly number[], axes: Axes): void {
  const fits =
    shape.length === axes.length &&
    shape.every((extent, axis) =>
      typeof axes[axis] === 'number' ? extent === axes[axis] : extent > 0,
    )
  if (!fits) {
    throw new RangeError(`its ${name} has the shape [${shape}], which is no [${axes.join(', ')}]`)
  }
}
