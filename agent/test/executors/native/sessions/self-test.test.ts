import { InferenceSession, Tensor } from 'onnxruntime-node'
import t from 'tap'
import { testProviders } from '../../../../src/executors/native/sessions/providers.ts'
import { testProvider } from '../../../../src/executors/native/sessions/self-test.ts'
import {
  attentionGraph,
  operatorsGraph,
  patternOf,
  type TestModel,
} from '../../../../src/executors/native/sessions/self-test-graph.ts'
import { providerNames } from '../../../../src/executors/native/sessions/settings.ts'

async function run({ model, input }: TestModel): Promise<Float32Array> {
  const session = await InferenceSession.create(model)
  const elements = input.reduce((product, side) => product * side, 1)
  const { y } = await session.run({ x: new Tensor('float32', patternOf(elements, 1), input) })
  await session.release()
  return y!.data as Float32Array
}

t.test('the CPU passes', async (t) => {
  const report = await testProvider('cpu', { threads: 1 })
  t.same(report, { name: 'cpu', ok: true, fusedAttention: true, halfPrecision: false })
})

t.test('a provider that is not there fails with a reason and a hint', async (t) => {
  const absent = process.platform === 'win32' ? 'coreml' : 'directml'
  const report = await testProvider(absent, {})
  t.equal(report.ok, false)
  t.match(report.reason, /.+; needs /)
})

t.test('the networks of the self-test say something', async (t) => {
  for (const graph of [operatorsGraph('float32'), attentionGraph('plain', 'float32')]) {
    const values = await run(graph)
    t.ok(values.every(Number.isFinite))
    const spread = Math.max(...values) - Math.min(...values)
    t.ok(spread > 0.1 && spread < 16, `neither flat nor clamped: ${spread}`)
    t.ok(new Set(values).size > values.length / 2)
  }
})

t.test('providers are tried in order until one is fine', async (t) => {
  const calls: string[] = []
  const listeners = {
    testing: (name: string) => calls.push(`testing ${name}`),
    tested: ({ name }: { name: string }) => calls.push(`tested ${name}`),
  }
  const forced = { provider: 'cpu', threads: 1 } as const
  const reports = await testProviders(forced, { known: [], testAll: false }, listeners)
  t.match(reports, [{ name: 'cpu', ok: true }])
  t.same(calls, ['testing cpu', 'tested cpu'])

  calls.length = 0
  const crashed = providerNames.map((name) => ({
    name,
    ok: name === 'cpu',
    reason: 'its self-test crashed',
    fusedAttention: false,
    halfPrecision: false,
  }))
  const known = await testProviders({}, { known: crashed, testAll: false }, listeners)
  t.notOk(
    calls.some((call) => call.startsWith('testing')),
    'known ones are not touched',
  )
  t.equal(known.at(-1)?.name, 'cpu')
})
