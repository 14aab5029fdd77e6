/** Scaled dot-product attention, in the wording that the dialect asks for. */
import type { Value } from '../onnx/graph-builder.ts'
import {
  add,
  concatenate,
  matmul,
  multiply,
  reshape,
  softmax,
  split,
  transpose,
} from '../onnx/operators.ts'
import type { Network } from './layers.ts'

export interface AttentionOptions {
  readonly batch: number
  readonly heads: number
  /** Added to the scores, [queries, keys]; implies the plain wording. */
  readonly mask?: Value
}

/**
 * q [batch * queries, channels], k and v [batch * keys, channels]; returns the shape of q.
 */
export function attention(
  network: Network,
  q: Value,
  k: Value,
  v: Value,
  options: AttentionOptions,
): Value {
  return network.dialect.attention === 'fused' && !options.mask
    ? fusedAttention(network, q, k, v, options)
    : plainAttention(network, q, k, v, options)
}

/** onnxruntime's own operator, which walks over the keys in blocks. */
function fusedAttention(
  { graph }: Network,
  q: Value,
  k: Value,
  v: Value,
  { batch, heads }: AttentionOptions,
): Value {
  const [query, key, value] = [q, k, v].map((x) =>
    reshape(graph, x, [batch, x.shape[0]! / batch, x.shape[1]!]),
  ) as [Value, Value, Value]
  const result = graph.node('MultiHeadAttention', [query, key, value], query.shape, {
    domain: 'com.microsoft',
    attributes: { num_heads: { int: heads } },
  })
  return reshape(graph, result, q.shape)
}

/**
 * The largest score matrix that is held at once, in elements: 128 MB of float32, which is also
 * the largest buffer that WebGPU grants by default.
 */
const MAX_SCORES = 2 ** 25

function plainAttention(
  network: Network,
  q: Value,
  k: Value,
  v: Value,
  { batch, heads, mask }: AttentionOptions,
): Value {
  const { graph } = network
  const [channels, queries, keys] = [q.shape[1]!, q.shape[0]! / batch, k.shape[0]! / batch]
  const width = channels / heads
  const split4 = (x: Value, order: readonly number[]) =>
    transpose(graph, reshape(graph, x, [batch, x.shape[0]! / batch, heads, width]), order)
  const query = multiply(graph, split4(q, [0, 2, 1, 3]), network.constant([width ** -0.5], []))
  const key = split4(k, [0, 2, 3, 1])
  const value = split4(v, [0, 2, 1, 3])

  const sizes = sliceSizes(queries, batch * heads * keys)
  const masks = mask ? split(graph, mask, sizes, 0) : []
  const slices = split(graph, query, sizes, 2).map((slice, index) => {
    const scores = matmul(graph, slice, key)
    const masked = masks[index] ? add(graph, scores, masks[index]) : scores
    return matmul(graph, softmax(graph, masked), value)
  })
  const result = concatenate(graph, slices, 2)
  return reshape(graph, transpose(graph, result, [0, 2, 1, 3]), q.shape)
}

/** Divides the queries so that no slice has more than MAX_SCORES scores. */
function sliceSizes(queries: number, scoresPerQuery: number): number[] {
  const count = Math.min(queries, Math.ceil((queries * scoresPerQuery) / MAX_SCORES))
  const size = Math.ceil(queries / count)
  return Array.from({ length: Math.ceil(queries / size) }, (_, index) =>
    Math.min(size, queries - index * size),
  )
}
