/** Convolutions in pieces of a few output channels, so that no cast of a large weight is whole in memory. */
import { countElements } from '../../../models/safetensors.ts'
import type { GraphBuilder, Value } from '../onnx/graph-builder.ts'
import {
  add,
  type ConvolutionOptions,
  concatenate,
  convolution,
  reshape,
} from '../onnx/operators.ts'

const FLOAT_BYTES = 4

/**
 * More than half of the UNet's weights, by size, are in larger ones. At 64x64 a runner with pieces of
 * 30 MB takes a quarter less memory than with pieces of 60, and a step a seventh less time: they are
 * still in the processor's cache when they are used.
 */
const MAX_PIECE_BYTES = 32 * 2 ** 20

/** Each piece unrolls the picture anew, on one core, which has to be little beside its product. */
const MIN_CHANNELS_PER_CELL = 16

/**
 * Into how many pieces a weight is worth being cut; 1 leaves it whole.
 * @param x [batch, inputs, height, width]
 * @param weight [outputs, inputs, rows, columns]
 */
export function pieceCount(x: readonly number[], weight: readonly number[]): number {
  const [outputs = 1] = weight
  const cells = countElements(x.slice(2))
  let count = Math.ceil((countElements(weight) * FLOAT_BYTES) / MAX_PIECE_BYTES)
  while (count < outputs && outputs % count !== 0) count++
  return outputs / count >= MIN_CHANNELS_PER_CELL * cells ? count : 1
}

/**
 * A convolution by the pieces of its weight, with the same numbers as by the whole.
 * @param pieces [outputs / pieces, inputs, rows, columns] each
 * @param bias [outputs], or none
 */
export function convolutionInPieces(
  graph: GraphBuilder,
  x: Value,
  pieces: readonly Value[],
  bias: Value | undefined,
  options: ConvolutionOptions,
): Value {
  const parts = pieces.map((piece) => convolution(graph, x, piece, undefined, options))
  const y = concatenate(graph, parts, 1)
  return bias ? add(graph, y, reshape(graph, bias, [y.shape[1]!, 1, 1])) : y
}
