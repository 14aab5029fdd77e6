/** What a machine says of itself, and when. */
import type { Advertisement } from '@comfymesh/protocol/advertisement'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import t, { type Test } from 'tap'
import { createAdvertiser } from '../../src/execution/advertiser.ts'
import type { JobUpdate } from '../../src/execution/live-job.ts'
import { createLocalPeer } from '../../src/execution/local-peer.ts'
import { createSurveyor } from '../../src/execution/survey.ts'
import type { Executor } from '../../src/executors/executor.ts'
import { digestOf } from '../../src/mesh/documents.ts'
import type { ModelCatalog } from '../../src/models/catalog.ts'
import { timeKey } from '../../src/planning/learned-times.ts'
import { createFakeExecutor } from '../fake-executor.ts'

function startAdvertiser(t: Test) {
  const said: Advertisement[] = []
  const documents = new Map<string, JsonValue>()
  const waiting: {
    fits: (one: Advertisement) => boolean
    resolve: (one: Advertisement) => void
  }[] = []
  let pending = 0
  let busyMs = 0
  let nowMs = 0
  let tellStages = () => {}
  let tell: (update: JobUpdate) => void = () => {}
  const executor: Executor = {
    ...createFakeExecutor(),
    openModelFiles: () => ['/models/m.safetensors', '/models/unknown.safetensors'],
  }
  const catalog: ModelCatalog = {
    read: async () => [{ kind: 'checkpoints', name: 'm.safetensors', id: 'i', sizeBytes: 1 }],
    identityOf: (path) => (path === '/models/m.safetensors' ? 'i' : undefined),
  }
  const surveyor = createSurveyor({
    executor,
    devices: {
      read: async () => [{ name: 'Card', kind: 'gpu', totalBytes: 8e9, freeBytes: 4e9 }],
    },
    catalog,
    warn: (message, error) => t.fail(`${message}: ${error}`),
  })
  const localPeer = createLocalPeer(
    { peerId: 'me', name: 'desk', version: '1.0.0', memoryBudgetBytes: 8e9 },
    { executor, surveyor, catalog, busyMs: () => 0 },
  )
  const kind = { peerId: 'me', classType: 'KSampler', model: 'm.safetensors' }
  const times = new Map([
    [timeKey(kind), [{ work: 4, elapsedMs: 400 }]],
    [timeKey({ ...kind, peerId: 'another' }), [{ work: 4, elapsedMs: 1 }]],
  ])
  const advertiser = createAdvertiser({
    localPeer,
    surveyor,
    jobs: {
      running: () => [],
      pending: () => Array.from({ length: pending }, () => ({ status: 'queued' }) as never),
      subscribe: (listener) => {
        tell = listener
        return () => {}
      },
    },
    stages: {
      busyMs: () => busyMs,
      onChange: (listener) => {
        tellStages = listener
        return () => {}
      },
    },
    times: { current: () => times },
    now: () => nowMs,
    offer(document) {
      const digest = digestOf(document)
      documents.set(digest, document)
      return digest
    },
    keepOffered(digests) {
      for (const digest of documents.keys()) if (!digests.includes(digest)) documents.delete(digest)
    },
    advertise(one) {
      said.push(one)
      for (const { fits, resolve } of waiting) if (fits(one)) resolve(one)
    },
  })
  t.teardown(() => {
    advertiser.stop()
    surveyor.stop()
  })
  return {
    said,
    documents,
    start() {
      surveyor.start()
      advertiser.start()
    },
    hear: (update: Partial<JobUpdate>, waits: number) => {
      pending = waits
      tell(update as JobUpdate)
    },
    /** The stages have so much to do at this time. */
    busy(ms: number, atMs: number) {
      busyMs = ms
      nowMs = atMs
      tellStages()
    },
    until: (fits: (one: Advertisement) => boolean) => {
      const already = said.find(fits)
      if (already !== undefined) return Promise.resolve(already)
      return new Promise<Advertisement>((resolve) => waiting.push({ fits, resolve }))
    },
  }
}

t.test('at once what is known, then devices and nodes, then models', async (t) => {
  const { said, documents, start, until } = startAdvertiser(t)
  start()
  t.match(said[0], { peerId: 'me', name: 'desk', devices: [], memoryBudgetBytes: 8e9 })
  const whole = await until(({ catalogDigest }) => catalogDigest !== undefined)
  t.match(whole.devices, [{ name: 'Card', freeBytes: 4e9 }])
  t.strictSame(whole.residentModels, ['i'], 'what is open, by content')
  t.strictSame(
    whole.times,
    [{ classType: 'KSampler', modelId: 'i', samples: [{ work: 4, elapsedMs: 400 }] }],
    'what was learned of this machine, over restarts',
  )
  t.match(documents.get(whole.catalogDigest!), [{ name: 'm.safetensors', id: 'i' }])
  const index = documents.get(whole.executors[0]!.nodesDigest) as JsonObject
  const node = documents.get(index.TN_Int as string)
  t.match(node, { definition: { input: {} }, judgedInputs: [] })
})

t.test('the queue is told when it changes, and a change that is none is not', async (t) => {
  const { said, start, until, hear } = startAdvertiser(t)
  start()
  await until(({ catalogDigest }) => catalogDigest !== undefined)
  const before = said.length
  hear({ event: { type: 'accepted' } as never }, 2)
  hear({ event: { type: 'accepted' } as never }, 3)
  const told = await until(({ queue }) => queue.waiting > 0)
  t.equal(told.queue.waiting, 3, 'a burst is one message')
  t.equal(said.length, before + 1)
})

t.test('how long its stages take is told, and not again while that passes', async (t) => {
  const { said, start, until, hear, busy } = startAdvertiser(t)
  start()
  await until(({ catalogDigest }) => catalogDigest !== undefined)
  busy(60_000, 1000)
  await until(({ queue }) => queue.busyMs === 60_000)
  const before = said.length
  busy(30_000, 31_000)
  hear({ event: { type: 'accepted' } as never }, 1)
  const told = await until(({ queue }) => queue.waiting === 1)
  t.equal(said.length, before + 1, 'that half of it has passed is no news')
  t.equal(told.queue.busyMs, 30_000, 'but true in whatever is said')
  busy(90_000, 31_500)
  await until(({ queue }) => queue.busyMs === 90_000)
})
