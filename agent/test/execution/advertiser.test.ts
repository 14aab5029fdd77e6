/** What a machine says of itself, and when. */
import type { Advertisement } from '@comfymesh/protocol/advertisement'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import t, { type Test } from 'tap'
import { createAdvertiser } from '../../src/execution/advertiser.ts'
import type { JobUpdate } from '../../src/execution/live-job.ts'
import { digestOf } from '../../src/mesh/documents.ts'
import { createFakeExecutor } from '../fake-executor.ts'

function startAdvertiser(t: Test) {
  const said: Advertisement[] = []
  const documents = new Map<string, JsonValue>()
  const waiting: {
    fits: (one: Advertisement) => boolean
    resolve: (one: Advertisement) => void
  }[] = []
  let pending = 0
  let tell: (update: JobUpdate) => void = () => {}
  const advertiser = createAdvertiser(
    { peerId: 'me', name: 'desk', version: '1.0.0', memoryBudgetBytes: 8e9 },
    {
      executor: createFakeExecutor(),
      jobs: {
        running: () => [],
        pending: () => Array.from({ length: pending }, () => ({}) as never),
        subscribe: (listener) => {
          tell = listener
          return () => {}
        },
      },
      devices: {
        read: async () => [{ name: 'Card', kind: 'gpu', totalBytes: 8e9, freeBytes: 4e9 }],
      },
      catalog: {
        read: async () => [{ kind: 'checkpoints', name: 'm.safetensors', id: 'i', sizeBytes: 1 }],
      },
      offer(document) {
        const digest = digestOf(document)
        documents.set(digest, document)
        return digest
      },
      keepOffered(digests) {
        for (const digest of documents.keys())
          if (!digests.includes(digest)) documents.delete(digest)
      },
      advertise(one) {
        said.push(one)
        for (const { fits, resolve } of waiting) if (fits(one)) resolve(one)
      },
      warn: (message, error) => t.fail(`${message}: ${error}`),
    },
  )
  t.teardown(() => advertiser.stop())
  return {
    said,
    documents,
    advertiser,
    hear: (update: Partial<JobUpdate>, waits: number) => {
      pending = waits
      tell(update as JobUpdate)
    },
    until: (fits: (one: Advertisement) => boolean) => {
      const already = said.find(fits)
      if (already !== undefined) return Promise.resolve(already)
      return new Promise<Advertisement>((resolve) => waiting.push({ fits, resolve }))
    },
  }
}

t.test('at once what is known, then devices and nodes, then models', async (t) => {
  const { said, documents, advertiser, until } = startAdvertiser(t)
  advertiser.start()
  t.match(said[0], { peerId: 'me', name: 'desk', devices: [], memoryBudgetBytes: 8e9 })
  const whole = await until(({ catalogDigest }) => catalogDigest !== undefined)
  t.match(whole.devices, [{ name: 'Card', freeBytes: 4e9 }])
  t.match(documents.get(whole.catalogDigest!), [{ name: 'm.safetensors', id: 'i' }])
  const index = documents.get(whole.executors[0]!.nodesDigest) as JsonObject
  const node = documents.get(index.TN_Int as string)
  t.match(node, { definition: { input: {} }, judgedInputs: [] })
})

t.test('the queue is told when it changes, and a change that is none is not', async (t) => {
  const { said, advertiser, until, hear } = startAdvertiser(t)
  advertiser.start()
  await until(({ catalogDigest }) => catalogDigest !== undefined)
  const before = said.length
  hear({ event: { type: 'accepted' } as never }, 2)
  hear({ event: { type: 'accepted' } as never }, 3)
  const told = await until(({ queue }) => queue.waiting > 0)
  t.equal(told.queue.waiting, 3, 'a burst is one message')
  t.equal(said.length, before + 1)
})
