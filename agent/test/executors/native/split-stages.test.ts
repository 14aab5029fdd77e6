/** Stages of the embedded model on two executors that share nothing but files of values. */
import { fileURLToPath } from 'node:url'
import type { Output } from '@comfymesh/protocol/value'
import t from 'tap'
import type { Executor, StageInput, StageResult } from '../../../src/executors/executor.ts'
import { createNativeExecutor } from '../../../src/executors/native/native-executor.ts'
import { picturesOf, runAndRecord, stageOf } from '../executor-suite.ts'
import { testFolders, textToImageNodes } from './native-fixture.ts'

const models = fileURLToPath(new URL('../../../../models/checkpoints', import.meta.url))

const nodes = textToImageNodes(
  { name: 'comfymesh-shapes.safetensors', width: 128, height: 64 },
  { seed: 2n ** 63n + 5n, steps: 3, sampler_name: 'dpmpp_2m_sde', scheduler: 'karras' },
)

/** The prompt's nodes by what they do; a loader runs in every stage that needs what it loads. */
const [loader, latent, encoders, sampler, decoder] = [['1'], ['2'], ['3', '4'], ['5'], ['6', '7']]
const positive = { nodeId: '3', slot: 0, type: 'CONDITIONING' }
const negative = { nodeId: '4', slot: 0, type: 'CONDITIONING' }
const samples = { nodeId: '5', slot: 0, type: 'LATENT' }

t.test('stages on several machines make the same pictures as one', async (t) => {
  const empty = testFolders(t)
  const folders = { ...empty, models: { ...empty.models, checkpoints: [models] } }
  const whole = stageOf(nodes)
  const executor = () => {
    const own = createNativeExecutor({ folders, provider: 'cpu', threads: 1 })
    t.teardown(() => own.stop())
    return own
  }
  const [one, other] = [executor(), executor()]
  const expected = picturesOf((await runAndRecord(one, whole)).events)
  t.equal(expected.length, 2)

  const run = async (
    on: Executor,
    ids: readonly string[][],
    inputs: readonly StageInput[],
    outputs: readonly Output[],
  ) => {
    const own = whole.nodes.filter(({ id }) => ids.flat().includes(id))
    const { events, result } = await runAndRecord(on, { ...whole, nodes: own, inputs, outputs })
    if (result instanceof Error) throw result
    return { pictures: picturesOf(events), values: (result as StageResult).values }
  }
  const encoded = await run(one, [loader!, encoders!], [], [positive, negative])
  // The other machine computed nothing of this yet: only what came as files can be right.
  const sampled = await run(other, [loader!, latent!, sampler!], encoded.values, [samples])
  await one.free({ outputs: true })
  const decoded = await run(one, [loader!, decoder!], sampled.values, [])
  t.same(decoded.pictures, expected, 'text, sampling and decoding apart')

  await other.free({ outputs: true })
  const rest = [loader!, latent!, sampler!, decoder!]
  t.same((await run(other, rest, encoded.values, [])).pictures, expected, 'text apart')

  const halves = [
    { ...samples, slice: { start: 0, end: 1 } },
    { ...samples, slice: { start: 1, end: 2 } },
  ]
  const cut = await run(one, [loader!, latent!, encoders!, sampler!], [], halves)
  for (const [index, half] of cut.values.entries()) {
    await other.free({ outputs: true })
    const { pictures } = await run(other, [loader!, decoder!], [half], [])
    t.same(pictures, [expected[index]], `picture ${index} decoded alone`)
  }
})
