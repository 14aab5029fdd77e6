/** ONNX operators by name, each working out the shape of what it makes. */
import type { GraphBuilder, Value } from './graph-builder.ts'
import { type OnnxType, onnxTypes } from './model.ts'

export const add = binary('Add')
export const subtract = binary('Sub')
export const multiply = binary('Mul')
export const divide = binary('Div')

function binary(operator: string) {
  return (graph: GraphBuilder, a: Value, b: Value): Value =>
    graph.node(operator, [a, b], broadcast(a.shape, b.shape))
}

export const sigmoid = unary('Sigmoid')
export const gelu = unary('Gelu')
export const sine = unary('Sin')
export const cosine = unary('Cos')
export const squareRoot = unary('Sqrt')

function unary(operator: string) {
  return (graph: GraphBuilder, x: Value): Value => graph.node(operator, [x], x.shape)
}

/** x times sigmoid(x). */
export function silu(graph: GraphBuilder, x: Value): Value {
  return multiply(graph, x, sigmoid(graph, x))
}

export function cast(graph: GraphBuilder, x: Value, type: OnnxType): Value {
  if (x.type === type) return x
  return graph.node('Cast', [x], x.shape, { type, attributes: { to: { int: onnxTypes[type] } } })
}

export function reshape(graph: GraphBuilder, x: Value, shape: readonly number[]): Value {
  if (shape.join() === x.shape.join()) return x
  return graph.node('Reshape', [x, graph.integers(shape)], shape)
}

export function transpose(graph: GraphBuilder, x: Value, order: readonly number[]): Value {
  const shape = order.map((axis) => x.shape[axis]!)
  return graph.node('Transpose', [x], shape, { attributes: { perm: { ints: order } } })
}

/** Batched matrix product; leading dimensions broadcast. */
export function matmul(graph: GraphBuilder, a: Value, b: Value): Value {
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2))
  return graph.node('MatMul', [a, b], [...batch, a.shape.at(-2)!, b.shape.at(-1)!])
}

/** a [m, k] times b [n, k] transposed, plus c: PyTorch's linear layer on its own weights. */
export function gemm(graph: GraphBuilder, a: Value, b: Value, c?: Value): Value {
  return graph.node('Gemm', c ? [a, b, c] : [a, b], [a.shape[0]!, b.shape[0]!], {
    attributes: { transB: { int: 1 } },
  })
}

export interface ConvolutionOptions {
  readonly stride?: number
  /** Top, left, bottom, right. */
  readonly padding?: readonly [number, number, number, number]
}

/** x [batch, channels, height, width], weight [out, in, height, width]. */
export function convolution(
  graph: GraphBuilder,
  x: Value,
  weight: Value,
  bias: Value | undefined,
  { stride = 1, padding = [0, 0, 0, 0] }: ConvolutionOptions = {},
): Value {
  const [batch, , height, width] = x.shape as [number, number, number, number]
  const [channels, , rows, columns] = weight.shape as [number, number, number, number]
  const side = (size: number, kernel: number, pads: number) =>
    Math.floor((size + pads - kernel) / stride) + 1
  const shape = [
    batch,
    channels,
    side(height, rows, padding[0] + padding[2]),
    side(width, columns, padding[1] + padding[3]),
  ]
  return graph.node('Conv', bias ? [x, weight, bias] : [x, weight], shape, {
    attributes: {
      kernel_shape: { ints: [rows, columns] },
      pads: { ints: padding },
      strides: { ints: [stride, stride] },
    },
  })
}

/**
 * Planes [1, size * size * count, height, width] woven into [1, count, height * size, width * size]:
 * the first `count` are the upper left cells of all squares, the next ones those to their right.
 */
export function depthToSpace(graph: GraphBuilder, x: Value, size: number): Value {
  const [batch, planes, height, width] = x.shape as [number, number, number, number]
  const shape = [batch, planes / size ** 2, height * size, width * size]
  return graph.node('DepthToSpace', [x], shape, { attributes: { blocksize: { int: size } } })
}

export function softmax(graph: GraphBuilder, x: Value): Value {
  return graph.node('Softmax', [x], x.shape, { attributes: { axis: { int: -1 } } })
}

export function concatenate(graph: GraphBuilder, parts: readonly Value[], axis: number): Value {
  if (parts.length === 1) return parts[0]!
  const total = parts.reduce((sum, part) => sum + part.shape[axis]!, 0)
  const shape = parts[0]!.shape.with(axis, total)
  return graph.node('Concat', parts, shape, { attributes: { axis: { int: axis } } })
}

/** Parts of the given sizes along an axis. */
export function split(
  graph: GraphBuilder,
  x: Value,
  sizes: readonly number[],
  axis: number,
): Value[] {
  if (sizes.length === 1) return [x]
  const shapes = sizes.map((size) => x.shape.with(axis, size))
  return graph.nodes('Split', [x, graph.integers(sizes)], shapes, {
    attributes: { axis: { int: axis } },
  })
}

/** The entries of x's first dimension that the indices name. */
export function gather(graph: GraphBuilder, x: Value, indices: Value): Value {
  return graph.node('Gather', [x, indices], [...indices.shape, ...x.shape.slice(1)])
}

/** Nearest-neighbour scaling of a picture to a size, with PyTorch's choice of source cells. */
export function resizeNearest(graph: GraphBuilder, x: Value, height: number, width: number): Value {
  const shape = [x.shape[0]!, x.shape[1]!, height, width]
  return graph.node('Resize', [x, undefined, undefined, graph.integers(shape)], shape, {
    attributes: {
      mode: { text: 'nearest' },
      coordinate_transformation_mode: { text: 'asymmetric' },
      nearest_mode: { text: 'floor' },
    },
  })
}

export function clamp(graph: GraphBuilder, x: Value, low: number, high: number): Value {
  const limit = (value: number) => cast(graph, graph.floats([value], []), x.type)
  return graph.node('Clip', [x, limit(low), limit(high)], x.shape)
}

/** Sum over some axes, which stay with size 1. */
export function sum(graph: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const shape = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
  return graph.node('ReduceSum', [x, graph.integers(axes)], shape)
}

function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, axis) => {
    const [left, right] = [a.at(axis - rank) ?? 1, b.at(axis - rank) ?? 1]
    if (left !== right && left !== 1 && right !== 1) {
      throw new RangeError(`Shapes [${a}] and [${b}] do not broadcast`)
    }
    return Math.max(left, right)
  })
}
