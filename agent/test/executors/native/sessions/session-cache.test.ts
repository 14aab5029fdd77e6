import t from 'tap'
import { createSessionCache } from '../../../../src/executors/native/sessions/session-cache.ts'

/** A cache of things that hold memory of a process that exists only here. */
function fixture(budgetBytes: number, { maxEntries = 10, measures = false } = {}) {
  const log: string[] = []
  const process = { bytes: 0, peak: 0 }
  const cache = createSessionCache<{ release(): Promise<void> }>({
    budgetBytes,
    maxEntries,
    measureBytes: () => (measures ? process.bytes : undefined),
  })
  const use = (key: string, peakBytes: number, heldBytes = peakBytes) => {
    const entry = {
      key,
      peakBytes,
      open: async () => {
        log.push(`open ${key}`)
        process.bytes += heldBytes
        return {
          release: async () => {
            log.push(`release ${key}`)
            process.bytes -= heldBytes
          },
        }
      },
    }
    return cache.use(entry, async () => {
      process.peak = Math.max(process.peak, process.bytes - heldBytes + peakBytes)
      return key
    })
  }
  return { cache, use, log, process }
}

t.test('what fits stays and is opened once', async (t) => {
  const { use, log, cache } = fixture(100)
  t.equal(await use('text', 10), 'text')
  await use('unet', 50)
  await use('text', 10)
  t.same(log, ['open text', 'open unet'])
  t.same(cache.keys, ['unet', 'text'], 'the least used first')
})

t.test('the least used makes room before the next is opened', async (t) => {
  const { use, log } = fixture(100)
  await use('text', 10)
  await use('unet', 60)
  await use('text', 10)
  await use('vae', 50)
  t.same(log, ['open text', 'open unet', 'release unet', 'open vae'])
})

t.test('what is larger than the budget runs alone', async (t) => {
  const { use, cache } = fixture(100)
  await use('unet', 60)
  await use('huge', 500)
  t.same(cache.keys, ['huge'])
  await use('unet', 60)
  t.same(cache.keys, ['unet'])
})

t.test('measured sizes replace expected ones', async (t) => {
  const { use, log, cache } = fixture(100, { measures: true })
  await use('unet', 90, 30)
  await use('vae', 70, 70)
  t.same(log, ['open unet', 'open vae'], 'both fit, as measured')
  await use('more', 10, 40)
  t.same(cache.keys, ['more'], 'one that holds more than expected displaces others')
})

t.test('a use makes room for its peak each time, not only when it opens', async (t) => {
  const { use, process } = fixture(100, { measures: true })
  await use('vae', 80, 0)
  await use('unet', 60, 60)
  await use('vae', 80, 0)
  t.ok(process.peak <= 100, `peak ${process.peak}`)
})

t.test('there are never too many', async (t) => {
  const { use, cache } = fixture(1000, { maxEntries: 2 })
  for (const key of ['a', 'b', 'c']) await use(key, 1)
  t.same(cache.keys, ['b', 'c'])
})

t.test('clearing releases all, or all but one', async (t) => {
  const { use, cache, process } = fixture(1000)
  for (const key of ['a', 'b', 'c']) await use(key, 1)
  await cache.clear('b')
  t.same(cache.keys, ['b'])
  await cache.clear()
  t.same(cache.keys, [])
  t.equal(process.bytes, 0)
})

t.test('a session that failed to open is not kept', async (t) => {
  const { cache } = fixture(100)
  const entry = { key: 'a', peakBytes: 1, open: () => Promise.reject(new Error('no')) }
  await t.rejects(
    cache.use(entry, async () => 1),
    { message: 'no' },
  )
  t.same(cache.keys, [])
})

t.test('what is open is known by what it was made of', async (t) => {
  const cache = createSessionCache({
    budgetBytes: 10,
    maxEntries: 9,
    measureBytes: () => undefined,
  })
  const use = (key: string, source: string | undefined, peakBytes = 1) =>
    cache.use(
      {
        key,
        peakBytes,
        ...(source !== undefined && { source }),
        open: async () => ({ release: async () => {} }),
      },
      async () => {},
    )
  await use('a', '/models/one')
  await use('b', '/models/one')
  await use('c', '/models/two')
  await use('d', undefined)
  t.strictSame(cache.sources, ['/models/one', '/models/two'])
  await use('e', '/models/three', 10)
  t.strictSame(cache.sources, ['/models/three'], 'what made room is open no more')
})
