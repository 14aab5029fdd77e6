import t from 'tap'
import {
  winogradConvolution,
  winogradTile,
} from '../../../../src/executors/native/graphs/winograd.ts'
import { GraphBuilder, type Value } from '../../../../src/executors/native/onnx/graph-builder.ts'
import { convolution } from '../../../../src/executors/native/onnx/operators.ts'
import { ruleValues } from '../../../models/model-files.ts'
import { relativeError, runGraph } from './run-graph.ts'

type Shape = readonly [batch: number, inputs: number, height: number, width: number]

/** A convolution of fixed values by the given wording. */
async function convolve(
  shape: Shape,
  outputs: number,
  say: (graph: GraphBuilder, x: Value, weight: Value, bias: Value) => Value,
): Promise<Float32Array> {
  const graph = new GraphBuilder('convolution')
  const x = graph.input('x', 'float32', shape)
  const weight = [outputs, shape[1], 3, 3]
  const count = weight.reduce((product, side) => product * side)
  const y = say(
    graph,
    x,
    graph.floats([...ruleValues('weight', count)], weight),
    graph.floats([...ruleValues('bias', outputs)]),
  )
  graph.output('y', y)
  const ports = { inputs: graph.inputs, outputs: graph.outputs } as Parameters<typeof runGraph>[0]
  const elements = shape.reduce((product, side) => product * side)
  const feeds = { x: ruleValues('x', elements) }
  const results = await runGraph({ ...ports, model: graph.encode(), weightsFolder: '/' }, feeds)
  return results.y!
}

const shapes: readonly Shape[] = [
  [1, 3, 8, 8],
  [2, 5, 12, 20],
  // Neither side is a multiple of a tile.
  [2, 4, 7, 9],
  [1, 2, 1, 1],
]

for (const tile of [2, 4] as const) {
  t.test(`tiles of ${tile}x${tile} give the convolution`, async (t) => {
    for (const shape of shapes) {
      const wanted = await convolve(shape, 6, (graph, x, weight, bias) =>
        convolution(graph, x, weight, bias, { padding: [1, 1, 1, 1] }),
      )
      const found = await convolve(shape, 6, (graph, x, weight, bias) =>
        winogradConvolution(graph, x, weight, bias, tile),
      )
      t.ok(relativeError(found, wanted) < 1e-5, `${shape}`)
    }
  })
}

t.test('only large 3x3 convolutions are worth it', async (t) => {
  const weight = [640, 640, 3, 3]
  t.equal(winogradTile([2, 640, 32, 32], weight), 4)
  t.equal(winogradTile([2, 640, 16, 16], weight), 2, 'fewer tiles')
  t.equal(winogradTile([2, 640, 8, 8], weight), undefined, 'too few tiles')
  t.equal(winogradTile([1, 640, 29, 29], weight), 4, 'tiles reach over the edge')
  t.equal(winogradTile([2, 640, 32, 32], [640, 640, 1, 1]), undefined, 'another kernel')
  t.equal(winogradTile([2, 4, 64, 64], [320, 4, 3, 3]), undefined, 'few channels')
})
