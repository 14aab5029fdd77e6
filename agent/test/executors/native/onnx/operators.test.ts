import { InferenceSession, Tensor } from 'onnxruntime-node'
import t from 'tap'
import { GraphBuilder, type Value } from '../../../../src/executors/native/onnx/graph-builder.ts'
import * as operators from '../../../../src/executors/native/onnx/operators.ts'

/** Builds a graph on x [2, 3] = 0..5, runs it and returns the outputs. */
async function compute(
  build: (graph: GraphBuilder, x: Value) => readonly Value[] | Value,
): Promise<{ readonly shape: readonly number[]; readonly values: readonly number[] }[]> {
  const graph = new GraphBuilder('test')
  const x = graph.input('x', 'float32', [2, 3])
  const values = [build(graph, x)].flat()
  for (const [index, value] of values.entries()) graph.output(`y${index}`, value)
  const session = await InferenceSession.create(graph.encode(), { intraOpNumThreads: 1 })
  const results = await session.run({
    x: new Tensor('float32', Float32Array.of(0, 1, 2, 3, 4, 5), [2, 3]),
  })
  await session.release()
  return values.map((value, index) => {
    const { dims, data } = results[`y${index}`]!
    // onnxruntime has the last word on shapes; the builder must have foreseen them.
    t.same(dims, value.shape)
    return { shape: dims, values: Array.from(data as Iterable<number>, Number) }
  })
}

const expected: {
  readonly [what: string]: readonly [
    build: Parameters<typeof compute>[0],
    values: readonly number[],
    shape?: readonly number[],
  ]
} = {
  'add broadcasts': [
    (graph, x) => operators.add(graph, x, graph.floats([10, 20], [2, 1])),
    [10, 11, 12, 23, 24, 25],
  ],
  subtract: [(graph, x) => operators.subtract(graph, x, graph.floats([1])), [-1, 0, 1, 2, 3, 4]],
  multiply: [(graph, x) => operators.multiply(graph, x, x), [0, 1, 4, 9, 16, 25]],
  divide: [
    (graph, x) => operators.divide(graph, x, graph.floats([2], [])),
    [0, 0.5, 1, 1.5, 2, 2.5],
  ],
  sine: [(graph, x) => operators.sine(graph, x), [0, 1, 2, 3, 4, 5].map(Math.sin)],
  cosine: [(graph, x) => operators.cosine(graph, x), [0, 1, 2, 3, 4, 5].map(Math.cos)],
  'square root': [(graph, x) => operators.squareRoot(graph, x), [0, 1, 2, 3, 4, 5].map(Math.sqrt)],
  silu: [
    (graph, x) => operators.silu(graph, x),
    [0, 1, 2, 3, 4, 5].map((v) => v / (1 + Math.exp(-v))),
  ],
  gelu: [
    (graph, x) => operators.gelu(graph, x),
    // Of the exact kind, by the error function.
    [0, 0.841344746, 1.954499736, 2.995950306, 3.999873315, 4.999998567],
  ],
  reshape: [(graph, x) => operators.reshape(graph, x, [3, 1, 2]), [0, 1, 2, 3, 4, 5], [3, 1, 2]],
  transpose: [(graph, x) => operators.transpose(graph, x, [1, 0]), [0, 3, 1, 4, 2, 5], [3, 2]],
  matmul: [
    (graph, x) => operators.matmul(graph, x, operators.transpose(graph, x, [1, 0])),
    [5, 14, 14, 50],
    [2, 2],
  ],
  gemm: [
    (graph, x) => operators.gemm(graph, x, x, graph.floats([100, 200])),
    [105, 214, 114, 250],
    [2, 2],
  ],
  softmax: [
    (graph, x) => operators.softmax(graph, operators.multiply(graph, x, graph.floats([0], []))),
    Array(6).fill(1 / 3),
  ],
  concatenate: [
    (graph, x) => operators.concatenate(graph, [x, x], 1),
    [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5],
    [2, 6],
  ],
  gather: [(graph, x) => operators.gather(graph, x, graph.integers([1])), [3, 4, 5], [1, 3]],
  clamp: [(graph, x) => operators.clamp(graph, x, 1, 3.5), [1, 1, 2, 3, 3.5, 3.5]],
  sum: [(graph, x) => operators.sum(graph, x, [0]), [3, 5, 7], [1, 3]],
  'cast there and back': [
    (graph, x) => operators.cast(graph, operators.cast(graph, x, 'float16'), 'float32'),
    [0, 1, 2, 3, 4, 5],
  ],
  'nearest neighbours of a size that is no multiple': [
    (graph, x) => operators.resizeNearest(graph, operators.reshape(graph, x, [1, 1, 2, 3]), 3, 5),
    // floor(index * from / to), as PyTorch chooses.
    [0, 0, 1, 1, 2, 0, 0, 1, 1, 2, 3, 3, 4, 4, 5],
    [1, 1, 3, 5],
  ],
  'planes woven into squares': [
    (graph, x) =>
      operators.depthToSpace(
        graph,
        operators.reshape(graph, operators.concatenate(graph, [x, x], 0), [1, 4, 1, 3]),
        2,
      ),
    [0, 3, 1, 4, 2, 5, 0, 3, 1, 4, 2, 5],
    [1, 1, 2, 6],
  ],
  'convolution with stride and uneven padding': [
    (graph, x) =>
      operators.convolution(
        graph,
        operators.reshape(graph, x, [1, 1, 2, 3]),
        graph.floats([1, 10, 100, 1000], [1, 1, 2, 2]),
        graph.floats([0.5]),
        { stride: 2, padding: [0, 0, 1, 1] },
      ),
    [4310.5, 502.5],
    [1, 1, 1, 2],
  ],
}

for (const [what, [build, values, shape = [2, 3]]] of Object.entries(expected)) {
  t.test(what, async (t) => {
    const [found] = await compute(build)
    t.same(found!.shape, shape)
    const differences = found!.values.map((value, index) => Math.abs(value - values[index]!))
    t.ok(
      found!.values.length === values.length && Math.max(...differences) < 1e-5,
      `${found!.values}`,
    )
  })
}

t.test('split makes uneven parts', async (t) => {
  const parts = await compute((graph, x) => operators.split(graph, x, [1, 2], 1))
  t.same(parts, [
    { shape: [2, 1], values: [0, 3] },
    { shape: [2, 2], values: [1, 2, 4, 5] },
  ])
})

t.test('shapes that do not broadcast are refused while building', async (t) => {
  const graph = new GraphBuilder('test')
  const x = graph.input('x', 'float32', [2, 3])
  t.throws(() => operators.add(graph, x, graph.floats([1, 2])), RangeError)
})
