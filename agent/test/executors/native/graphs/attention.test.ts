import t from 'tap'
import { attention } from '../../../../src/executors/native/graphs/attention.ts'
import { buildNetwork } from '../../../../src/executors/native/graphs/layers.ts'
import type { Dialect } from '../../../../src/executors/native/graphs/network-graph.ts'
import { ruleValues } from '../../../models/model-files.ts'
import { fused, noWeights, plain, relativeError, runGraph } from './run-graph.ts'

interface Sizes {
  readonly batch: number
  readonly heads: number
  readonly channels: number
  readonly queries: number
  readonly keys: number
}

async function attend(dialect: Dialect, sizes: Sizes, causal = false): Promise<Float32Array> {
  const { batch, heads, channels, queries, keys } = sizes
  const graph = buildNetwork('attention', noWeights, { dialect }, (network) => {
    const [q, k, v] = [queries, keys, keys].map((count, index) =>
      network.input('qkv'[index]!, [batch * count, channels]),
    )
    const mask = () =>
      Array.from({ length: queries * keys }, (_, index) =>
        index % keys > Math.floor(index / keys) ? -10000 : 0,
      )
    const masked = causal ? { mask: network.constant(mask(), [queries, keys]) } : {}
    return { y: attention(network, q!, k!, v!, { batch, heads, ...masked }) }
  })
  const { y } = await runGraph(graph, {
    q: ruleValues('q', batch * queries * channels),
    k: ruleValues('k', batch * keys * channels),
    v: ruleValues('v', batch * keys * channels),
  })
  return y!
}

/** One query's answer by the definition. */
function row(sizes: Sizes, at: number, head: number, batch: number, causal = false): number[] {
  const { heads, channels, queries, keys } = sizes
  const width = channels / heads
  const q = ruleValues('q', sizes.batch * queries * channels)
  const k = ruleValues('k', sizes.batch * keys * channels)
  const v = ruleValues('v', sizes.batch * keys * channels)
  const part = (values: Float32Array, count: number, index: number) => {
    const from = (batch * count + index) * channels + head * width
    return values.subarray(from, from + width)
  }
  const query = part(q, queries, at)
  const weights = Array.from({ length: causal ? at + 1 : keys }, (_, key) =>
    Math.exp(part(k, keys, key).reduce((sum, x, i) => sum + x * query[i]!, 0) / Math.sqrt(width)),
  )
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return Array.from({ length: width }, (_, i) =>
    weights.reduce((sum, weight, key) => sum + (weight / total) * part(v, keys, key)[i]!, 0),
  )
}

t.test('both wordings are attention', async (t) => {
  const sizes = { batch: 2, heads: 3, channels: 12, queries: 5, keys: 7 }
  for (const dialect of [plain, fused]) {
    const y = await attend(dialect, sizes)
    const wanted = row(sizes, 4, 1, 1)
    const from = (1 * 5 + 4) * 12 + 1 * 4
    t.ok(relativeError(y.subarray(from, from + 4), wanted) < 1e-5, dialect.attention)
  }
})

t.test('a mask keeps later keys out, whatever the dialect', async (t) => {
  const sizes = { batch: 1, heads: 2, channels: 8, queries: 6, keys: 6 }
  for (const dialect of [plain, fused]) {
    const y = await attend(dialect, sizes, true)
    t.ok(relativeError(y.subarray(2 * 8 + 4, 2 * 8 + 8), row(sizes, 2, 1, 0, true)) < 1e-5)
  }
})

t.test('scores beyond 128 MB are worked through in slices', async (t) => {
  // 5801 squared is just above 2^25 and an odd number of queries makes uneven slices.
  const sizes = { batch: 1, heads: 1, channels: 4, queries: 5801, keys: 5801 }
  const [sliced, whole] = [await attend(plain, sizes), await attend(fused, sizes)]
  t.ok(relativeError(sliced, whole) < 1e-4)
  for (const at of [0, 2900, 2901, 5800]) {
    t.ok(relativeError(sliced.subarray(at * 4, at * 4 + 4), row(sizes, at, 0, 0)) < 1e-3, `${at}`)
  }
})
