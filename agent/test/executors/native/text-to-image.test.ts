/** ComfyUI's default prompt through the whole executor, on a random model of its architecture. */
import t from 'tap'
import type { StageEvent } from '../../../src/executors/executor.ts'
import { createNativeExecutor } from '../../../src/executors/native/native-executor.ts'
import { type Shapes, writeRuleModel } from '../../models/model-files.ts'
import { runAndRecord, stageOf } from '../executor-suite.ts'
import { networkCases } from './graphs/network-goldens.ts'
import { testFolders, textToImageNodes } from './native-fixture.ts'

const STEPS = 3

const nodes = (seed: number) =>
  textToImageNodes(
    { name: 'tiny.safetensors', width: 64, height: 48 },
    { seed, steps: STEPS, sampler_name: 'euler', scheduler: 'normal' },
  )

/** Only what depends on the seed has a new signature. */
const signatures = (seed: number) => (index: number) => `${index} ${index >= 4 ? seed : ''}`

function picturesOf(events: readonly StageEvent[]) {
  return events.flatMap((event) => (event.type === 'node-finished' ? (event.pictures ?? []) : []))
}

t.test('a prompt becomes pictures, the next seed others, the same seed the same', async (t) => {
  const folders = testFolders(t)
  const shapes: Shapes = Object.assign(
    {},
    ...(['unet', 'vae', 'text'] as const).map((kind) => networkCases(kind)[0]!.shapes),
  )
  writeRuleModel(folders.models.checkpoints![0]!, shapes, { name: 'tiny' })
  const executor = createNativeExecutor({ folders, provider: 'cpu', threads: 1 })
  t.teardown(() => executor.stop())
  const run = (seed: number, cached = true) =>
    runAndRecord(executor, stageOf(nodes(seed), cached ? signatures(seed) : undefined))

  const first = await run(1)
  t.match(first.result, { provider: 'cpu', sessionMs: Number })
  const pictures = picturesOf(first.events)
  // The goldens' autoencoder makes 2 pixels of a latent cell, where SD 1.x makes 8.
  const size = { mediaType: 'image/png', width: 16, height: 12, folder: 'output' }
  t.match(pictures, [
    { ...size, batchIndex: 0 },
    { ...size, batchIndex: 1 },
  ])
  t.notSame(pictures[0]!.bytes, pictures[1]!.bytes, 'each entry of a batch has its own noise')
  const steps = first.events.filter(
    (event) => event.type === 'node-progress' && event.nodeId === '5',
  )
  t.match(steps[0], { value: 1, max: STEPS })
  t.match(steps.at(-1), { value: STEPS, max: STEPS })

  const second = await run(2)
  const recalled = second.events.filter((event) => event.type === 'node-finished' && event.cached)
  t.same(
    recalled.map(({ nodeId }) => nodeId),
    ['1', '2', '3', '4'],
  )
  t.notSame(picturesOf(second.events)[0]!.bytes, pictures[0]!.bytes)

  const again = await run(1, false)
  t.same(
    picturesOf(again.events).map(({ bytes }) => bytes),
    pictures.map(({ bytes }) => bytes),
  )
  const estimate = await executor.estimate(stageOf(nodes(1)))
  t.ok(estimate.memoryBytes > 1_000_000 && estimate.memoryBytes < 1_000_000_000)
})

t.test('a missing checkpoint names itself, its node and its class', async (t) => {
  const executor = createNativeExecutor({ folders: testFolders(t), provider: 'cpu' })
  t.teardown(() => executor.stop())
  const { error } = await runAndRecord(executor, stageOf(nodes(1)))
  t.match(error, {
    code: 'not_found',
    message: /tiny\.safetensors/,
    details: { nodeId: '1', classType: 'CheckpointLoaderSimple' },
  })
})
