/**
 * Casts of stored weights to what the network computes in. A weight is larger than nearly all that
 * it is multiplied with, so what becomes of its memory afterwards is what a session takes.
 */
import { countElements } from '../../../models/safetensors.ts'
import type { GraphBuilder, Value } from '../onnx/graph-builder.ts'
import type { FileSlice, OnnxType } from '../onnx/model.ts'
import { cast, reshape } from '../onnx/operators.ts'
import type { Dialect } from './network-graph.ts'

/** A weight as it lies in a file, of a name that no other has. */
export interface StoredWeight {
  readonly id: string
  readonly type: OnnxType
  readonly shape: readonly number[]
  readonly data: Uint8Array | FileSlice
}

/** Adds a weight to a graph and casts it. */
export type CastWeight = (stored: StoredWeight) => Value

export function weightCaster(
  graph: GraphBuilder,
  type: OnnxType,
  casts: Dialect['casts'],
): CastWeight {
  const ownShape = shapesApart()
  return ({ id, type: storedType, shape, data }) => {
    const isApart = casts === 'apart' && storedType !== type && isMatrix(shape)
    const castShape = isApart ? ownShape(countElements(shape)) : shape
    return reshape(
      graph,
      cast(graph, graph.initializer(id, storedType, castShape, data), type),
      shape,
    )
  }
}

/**
 * Shapes of so many elements, each another one. onnxruntime plans that a value takes the memory of an
 * earlier one of its shape, and holds that memory from the first of them to the last, however many
 * layers lie between: a buffer for each shape. A value of a shape of its own gives its memory back
 * for whatever comes next. Sides of 1 make shapes differ.
 */
function shapesApart(): (elements: number) => readonly number[] {
  const given = new Map<number, number>()
  return (elements) => {
    const before = given.get(elements) ?? 0
    given.set(elements, before + 1)
    return [...Array<number>(before).fill(1), elements]
  }
}

/** Whether it is more than a vector, which is too small to count. */
function isMatrix(shape: readonly number[]): boolean {
  return shape.filter((side) => side > 1).length > 1
}
