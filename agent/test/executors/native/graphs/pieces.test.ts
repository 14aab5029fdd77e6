import t from 'tap'
import { convolutionInPieces, pieceCount } from '../../../../src/executors/native/graphs/pieces.ts'
import { GraphBuilder, type Value } from '../../../../src/executors/native/onnx/graph-builder.ts'
import { convolution } from '../../../../src/executors/native/onnx/operators.ts'
import { ruleValues } from '../../../models/model-files.ts'
import { runGraph } from './run-graph.ts'

const [INPUTS, OUTPUTS, SIDE] = [5, 12, 4]
const options = { padding: [1, 1, 1, 1] } as const

/** A convolution by the pieces of a weight. */
async function convolve(
  count: number,
  say: (graph: GraphBuilder, x: Value, pieces: readonly Value[], bias: Value) => Value,
): Promise<Float32Array> {
  const graph = new GraphBuilder('convolution')
  const x = graph.input('x', 'float32', [2, INPUTS, SIDE, SIDE])
  const values = [...ruleValues('weight', OUTPUTS * INPUTS * 9)]
  const size = values.length / count
  const pieces = Array.from({ length: count }, (_, index) => {
    const piece = values.slice(index * size, (index + 1) * size)
    return graph.floats(piece, [OUTPUTS / count, INPUTS, 3, 3])
  })
  graph.output('y', say(graph, x, pieces, graph.floats([...ruleValues('bias', OUTPUTS)])))
  const ports = { inputs: graph.inputs, outputs: graph.outputs } as Parameters<typeof runGraph>[0]
  const feeds = { x: ruleValues('x', 2 * INPUTS * SIDE * SIDE) }
  const results = await runGraph({ ...ports, model: graph.encode(), weightsFolder: '/' }, feeds)
  return results.y!
}

t.test('a convolution in pieces is the convolution, to the bit', async (t) => {
  const wanted = await convolve(1, (graph, x, [weight], bias) =>
    convolution(graph, x, weight!, bias, options),
  )
  const found = await convolve(3, (graph, x, pieces, bias) =>
    convolutionInPieces(graph, x, pieces, bias, options),
  )
  t.same(found, wanted)
})

t.test('large weights on small pictures are cut', async (t) => {
  t.equal(pieceCount([2, 2560, 1, 1], [1280, 2560, 3, 3]), 4)
  t.equal(pieceCount([2, 1280, 2, 2], [1280, 1280, 3, 3]), 2)
  t.equal(pieceCount([2, 640, 4, 4], [640, 640, 3, 3]), 1, 'small enough')
  t.equal(pieceCount([2, 1280, 8, 8], [1280, 1280, 3, 3]), 1, 'too many cells for its channels')
  t.equal(pieceCount([2, 1280, 1, 1], [1283, 1280, 3, 3]), 1, 'nothing divides it')
})
