/**
 * The networks of the self-test: each kind of operator that the real graphs use, in the
 * same form, at sizes that take a millisecond. Weights are a fixed pattern, so that
 * every machine tests the same.
 */
import { GraphBuilder, type Value } from '../onnx/graph-builder.ts'
import {
  add,
  cast,
  clamp,
  concatenate,
  convolution,
  cosine,
  gather,
  gelu,
  gemm,
  matmul,
  multiply,
  reshape,
  resizeNearest,
  silu,
  softmax,
  split,
  transpose,
} from '../onnx/operators.ts'

export type Compute = 'float32' | 'float16'

/** A model with one input `x` and one output `y`, both float32. */
export interface TestModel {
  readonly model: Uint8Array
  /** Shape of `x`. */
  readonly input: readonly number[]
}

const CHANNELS = 16
const SIDE = 8
const TOKENS = SIDE * SIDE

/**
 * Numbers between -1 and 1 that look random and are the same everywhere.
 * @see https://en.wikipedia.org/wiki/Linear_congruential_generator (Numerical Recipes' constants)
 */
export function patternOf(length: number, seed: number): Float32Array {
  let state = seed >>> 0
  const values = new Float32Array(length)
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    values[i] = state / 2 ** 31 - 1
  }
  return values
}

/** A residual block, up- and downsampling, and a transformer's feed-forward block. */
export function operatorsGraph(compute: Compute): TestModel {
  const graph = new GraphBuilder('operators')
  const input = [2, CHANNELS, SIDE, SIDE]
  const x = cast(graph, graph.input('x', 'float32', input), compute)
  const weight = weights(graph, compute)
  let image = residual(graph, x, weight)
  image = resizeNearest(graph, image, 2 * SIDE, 2 * SIDE)
  image = convolution(graph, image, weight(CHANNELS, CHANNELS, 3, 3), weight(CHANNELS), {
    stride: 2,
    padding: [1, 1, 1, 1],
  })
  image = concatenate(graph, [image, x], 1)
  image = convolution(graph, image, weight(CHANNELS, 2 * CHANNELS, 1, 1), weight(CHANNELS))
  const tokens = transpose(graph, reshape(graph, image, [2, CHANNELS, TOKENS]), [0, 2, 1])
  const states = reshape(graph, tokens, [2 * TOKENS, CHANNELS])
  const result = add(graph, states, feedForward(graph, states, weight))
  graph.output('y', clamp(graph, cast(graph, result, 'float32'), -8, 8))
  return { model: graph.encode(), input }
}

/** As many tokens as make drivers tile, and CLIP's odd number of keys. */
const QUERIES = 256
const KEYS = 77
const HEADS = 8
const HEAD_WIDTH = 40

/** Self attention, then attention to fewer keys, at the head width of SD 1.x. */
export function attentionGraph(attention: 'fused' | 'plain', compute: Compute): TestModel {
  const graph = new GraphBuilder('attention')
  const input = [QUERIES, HEADS * HEAD_WIDTH]
  const x = cast(graph, graph.input('x', 'float32', input), compute)
  const attend = attention === 'fused' ? fused : plain
  const own = attend(graph, x, x, x)
  const [context] = split(graph, own, [KEYS, QUERIES - KEYS], 0)
  const result = attend(graph, x, context!, context!)
  graph.output('y', cast(graph, add(graph, result, own), 'float32'))
  return { model: graph.encode(), input }
}

/** Enough convolutions (2 x 1.2 GFLOP) to tell a graphics card from a software driver. */
export function speedGraph(): TestModel {
  const graph = new GraphBuilder('speed')
  const channels = 128
  const input = [1, channels, 64, 64]
  const weight = weights(graph, 'float32')
  let x = graph.input('x', 'float32', input)
  for (let i = 0; i < 2; i++) {
    const kernel = weight(channels, channels, 3, 3)
    x = convolution(graph, x, kernel, weight(channels), { padding: [1, 1, 1, 1] })
  }
  graph.output('y', x)
  return { model: graph.encode(), input }
}

/** Channels of the benchmark: those of the widest part of SD's autoencoder's decoder. */
const BENCHMARK_CHANNELS = 128
const BENCHMARK_LAYERS = 2

/**
 * Two convolutions of a square, as the networks are mostly made of. What goes in and comes out is
 * small, so that nothing but computing counts.
 * @returns also how many operations a run takes.
 */
export function benchmarkGraph(
  side: number,
  compute: Compute,
): TestModel & { readonly gigaOps: number } {
  const graph = new GraphBuilder('benchmark')
  const channels = BENCHMARK_CHANNELS
  const input = [1, channels, 1, 1]
  const weight = weights(graph, compute)
  const kernel = weight(channels, channels, 3, 3)
  const bias = weight(channels)
  let x = resizeNearest(graph, cast(graph, graph.input('x', 'float32', input), compute), side, side)
  for (let layer = 0; layer < BENCHMARK_LAYERS; layer++) {
    x = convolution(graph, x, kernel, bias, { padding: [1, 1, 1, 1] })
  }
  const mean = graph.node('GlobalAveragePool', [x], input)
  graph.output('y', cast(graph, mean, 'float32'))
  const multiplications = channels * channels * 3 * 3 * side * side * BENCHMARK_LAYERS
  return { model: graph.encode(), input, gigaOps: (2 * multiplications) / 1e9 }
}

type Weights = (...shape: number[]) => Value

/** Pattern tensors scaled so that layers keep the size of what passes through them. */
function weights(graph: GraphBuilder, compute: Compute): Weights {
  let serial = 0
  return (...shape) => {
    serial += 1
    const fanIn = shape.slice(1).reduce((product, side) => product * side, 1)
    const elements = patternOf(shape[0]! * fanIn, serial).map((value) => value / Math.sqrt(fanIn))
    const bytes = new Uint8Array(elements.buffer)
    return cast(graph, graph.initializer(`weight_${serial}`, 'float32', shape, bytes), compute)
  }
}

function residual(graph: GraphBuilder, x: Value, weight: Weights): Value {
  const groups = 4
  const grouped = reshape(graph, x, [2, groups, (CHANNELS / groups) * TOKENS])
  const scale = cast(graph, graph.floats(Array(groups).fill(1)), x.type)
  const shift = cast(graph, graph.floats(Array(groups).fill(0)), x.type)
  const normal = graph.node('InstanceNormalization', [grouped, scale, shift], grouped.shape, {
    attributes: { epsilon: { float: 1e-5 } },
  })
  const affine = add(
    graph,
    multiply(graph, reshape(graph, normal, x.shape), weight(CHANNELS, 1, 1)),
    weight(CHANNELS, 1, 1),
  )
  const kernel = weight(CHANNELS, CHANNELS, 3, 3)
  const options = { padding: [1, 1, 1, 1] } as const
  return add(graph, x, convolution(graph, silu(graph, affine), kernel, weight(CHANNELS), options))
}

function layerNorm(graph: GraphBuilder, x: Value, weight: Weights): Value {
  return graph.node('LayerNormalization', [x, weight(CHANNELS), weight(CHANNELS)], x.shape, {
    attributes: { axis: { int: -1 }, epsilon: { float: 1e-5 } },
  })
}

/** q [QUERIES, width], k and v [keys, width]. */
function fused(graph: GraphBuilder, q: Value, k: Value, v: Value): Value {
  const inputs = [q, k, v].map((value) => reshape(graph, value, [1, ...value.shape]))
  const attended = graph.node('MultiHeadAttention', inputs, inputs[0]!.shape, {
    domain: 'com.microsoft',
    attributes: { num_heads: { int: HEADS } },
  })
  return reshape(graph, attended, q.shape)
}

function plain(graph: GraphBuilder, q: Value, k: Value, v: Value): Value {
  const [queries, keys, values] = [q, k, v].map((value) => {
    const heads = reshape(graph, value, [1, value.shape[0]!, HEADS, HEAD_WIDTH])
    return transpose(graph, heads, [0, 2, 1, 3])
  })
  const scale = cast(graph, graph.floats([1 / Math.sqrt(HEAD_WIDTH)], []), q.type)
  const scores = matmul(graph, queries!, transpose(graph, keys!, [0, 1, 3, 2]))
  const attended = matmul(graph, softmax(graph, multiply(graph, scores, scale)), values!)
  return reshape(graph, transpose(graph, attended, [0, 2, 1, 3]), q.shape)
}

function feedForward(graph: GraphBuilder, states: Value, weight: Weights): Value {
  const wide = gemm(graph, layerNorm(graph, states, weight), weight(4 * CHANNELS, CHANNELS))
  const [value, gate] = split(graph, wide, [2 * CHANNELS, 2 * CHANNELS], 1)
  const gated = multiply(graph, value!, gelu(graph, gate!))
  const order = graph.integers(Array.from({ length: 2 * TOKENS }, (_, i) => 2 * TOKENS - 1 - i))
  const shuffled = gather(graph, cosine(graph, gated), order)
  return gemm(graph, shuffled, weight(CHANNELS, 2 * CHANNELS), weight(CHANNELS))
}

/** softmax(x transposed-times x) times x, as a model and as JavaScript works it out. */
export function attentionReference(): TestModel & { readonly expected: Float32Array } {
  const rows = 5
  const columns = 7
  const graph = new GraphBuilder('reference')
  const x = graph.input('x', 'float32', [rows, columns])
  graph.output('y', matmul(graph, softmax(graph, gemm(graph, x, x)), x))
  const values = patternOf(rows * columns, 1)
  const at = (row: number, column: number): number => values[row * columns + column]!
  const expected = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    const scores = Array.from({ length: rows }, (_, other) => {
      let product = 0
      for (let column = 0; column < columns; column++)
        product += at(row, column) * at(other, column)
      return Math.exp(product)
    })
    const total = scores.reduce((sum, score) => sum + score, 0)
    for (let column = 0; column < columns; column++) {
      const mixed = scores.reduce((sum, score, other) => sum + score * at(other, column), 0)
      expected[row * columns + column] = mixed / total
    }
  }
  return { model: graph.encode(), input: [rows, columns], expected }
}
