import { InferenceSession, Tensor } from 'onnxruntime-node'
import t from 'tap'
import { measureSpeed } from '../../../../src/executors/native/sessions/benchmark.ts'
import {
  benchmarkGraph,
  patternOf,
} from '../../../../src/executors/native/sessions/self-test-graph.ts'

const cpu = { name: 'cpu', ok: true, fusedAttention: true, halfPrecision: false } as const

t.test('the CPU computes some 10^9 operations a second', async (t) => {
  let runs = 0
  const { gflops, provider } = await measureSpeed(cpu, { threads: 1 }, async () => {
    runs += 1
  })
  t.equal(provider, 'cpu')
  t.ok(gflops > 0.1 && gflops < 1e6, `${gflops} GFLOPS`)
  t.ok(runs >= 1)
})

t.test('it can be ended before each run', async (t) => {
  const ended = new Error('a stage came')
  let runs = 0
  const measuring = measureSpeed(cpu, { threads: 1 }, async () => {
    runs += 1
    if (runs === 2) throw ended
  })
  await t.rejects(measuring, ended)
})

t.test('the network of the benchmark computes something', async (t) => {
  const { model, input, gigaOps } = benchmarkGraph(8, 'float32')
  t.equal(gigaOps, (2 * 2 * 128 * 128 * 9 * 64) / 1e9)
  const session = await InferenceSession.create(model)
  const { y } = await session.run({ x: new Tensor('float32', patternOf(128, 1), input) })
  await session.release()
  const values = y!.data as Float32Array
  t.ok(values.every(Number.isFinite))
  t.equal(new Set(values).size, 128)
})
