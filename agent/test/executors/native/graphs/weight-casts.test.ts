import t from 'tap'
import type { Dialect } from '../../../../src/executors/native/graphs/network-graph.ts'
import { weightCaster } from '../../../../src/executors/native/graphs/weight-casts.ts'
import { GraphBuilder } from '../../../../src/executors/native/onnx/graph-builder.ts'
import type { OnnxType } from '../../../../src/executors/native/onnx/model.ts'

/** Shapes in which weights are cast, and those that their layers see. */
function castShapes(
  casts: Dialect['casts'],
  weights: readonly (readonly number[])[],
  stored: OnnxType = 'float16',
) {
  const graph = new GraphBuilder('casts')
  const cast: string[] = []
  const initializer = graph.initializer.bind(graph)
  graph.initializer = (name, type, shape, data) => {
    if (name.startsWith('weight')) cast.push(`${shape}`)
    return initializer(name, type, shape, data)
  }
  const castOf = weightCaster(graph, 'float32', casts)
  const seen = weights.map((shape, index) => {
    const data = new Uint8Array(2 * shape.reduce((product, side) => product * side))
    return castOf({ id: `weight ${index}`, type: stored, shape, data }).shape
  })
  return { cast, seen }
}

const weights = [[4, 6], [6, 4], [2, 3, 2, 2], [5, 2], [24], [24, 1, 1]]

t.test('no two weights are cast in one shape, and layers see their own', async (t) => {
  const { cast, seen } = castShapes('apart', weights)
  t.same(seen, weights)
  t.equal(new Set(cast.slice(0, 4)).size, 4)
  t.same(cast.slice(4), ['24', '24,1,1'], 'vectors are left alone')
})

t.test('casts are plain where that is asked for, or where there is none', async (t) => {
  const own = weights.map((shape) => `${shape}`)
  t.same(castShapes('plain', weights).cast, own)
  t.same(castShapes('apart', weights, 'float32').cast, own)
})
