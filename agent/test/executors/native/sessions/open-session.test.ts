import t from 'tap'
import { GraphBuilder } from '../../../../src/executors/native/onnx/graph-builder.ts'
import { add, reshape } from '../../../../src/executors/native/onnx/operators.ts'
import { openSession } from '../../../../src/executors/native/sessions/open-session.ts'

const folder = process.platform === 'win32' ? 'C:\\' : '/'

function graphOf(build: (graph: GraphBuilder) => void) {
  const graph = new GraphBuilder('test')
  build(graph)
  return { model: graph.encode(), weightsFolder: folder, inputs: [], outputs: [] }
}

t.test('a session runs, and the clock counts it', async (t) => {
  const clock = { elapsedMs: 0 }
  const graph = graphOf((graph) => {
    const x = graph.input('x', 'float32', [2, 2])
    graph.output('y', add(graph, x, x))
  })
  const session = await openSession(graph, 'cpu', {}, clock)
  t.equal(clock.elapsedMs, 0, 'opening does not count')
  const { y } = await session.run({ x: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] } })
  t.same(y, { data: Float32Array.of(2, 4, 6, 8), shape: [2, 2] })
  t.ok(clock.elapsedMs > 0)
  await session.release()
})

t.test('running out of memory has its code', async (t) => {
  const sides = [2 ** 20, 2 ** 20, 4]
  const graph = graphOf((graph) => {
    const x = graph.input('x', 'float32', [1])
    const wide = graph.node('Expand', [x, graph.integers(sides)], sides)
    graph.output('y', reshape(graph, wide, [sides[0]! * 4, sides[1]!]))
  })
  const session = await openSession(graph, 'cpu', {}, { elapsedMs: 0 })
  const run = session.run({ x: { data: Float32Array.of(1), shape: [1] } })
  await t.rejects(run, { code: 'out_of_memory' })
  await session.release()
})
