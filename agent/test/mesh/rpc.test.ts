/** Questions and answers: what arrives, what is refused, and what ends whom. */
import { once } from 'node:events'
import { MeshError } from '@comfymesh/protocol/errors'
import t from 'tap'
import { z } from 'zod'
import { version } from '../../src/base/version.ts'
import { encodeMessage } from '../../src/mesh/messages.ts'
import type { Protocol } from '../../src/mesh/protocols.ts'
import { memoryPeers } from './memory-streams.ts'

const limits = {
  maxRequestBytes: 1000,
  maxReplyBytes: 100_000,
  maxStreams: 4,
  perMinute: 60,
  timeoutMs: 10_000,
}

const double: Protocol<{ x: number }, number> = {
  id: '/comfymesh/double/1',
  replies: 'one',
  request: z.object({ x: z.number() }),
  reply: z.number(),
  ...limits,
}

const countTo: Protocol<{ to: number }, string> = {
  id: '/comfymesh/count/1',
  replies: 'many',
  request: z.object({ to: z.number() }),
  reply: z.string(),
  ...limits,
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const value of values) list.push(value)
  return list
}

t.test('one answer', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  await b.rpc.handle(double, ({ x }, { peerId }) => {
    t.equal(peerId, 'a')
    return 2 * x
  })
  t.equal(await a.rpc.call('b', double, { x: 21 }), 42)
  const more = { x: 1, later: 'a field of a newer release' }
  t.equal(await a.rpc.call('b', double, more), 2, 'unknown fields are ignored')
})

t.test('many answers, also large ones, in order and to their end', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  await b.rpc.handle(countTo, async function* ({ to }) {
    for (let i = 0; i < to; i++) yield `${i}`.padEnd(50_000)
  })
  const answers = await all(a.rpc.stream('b', countTo, { to: 40 }))
  t.strictSame(
    answers.map((text) => text.trim()),
    Array.from({ length: 40 }, (_, i) => String(i)),
  )
  t.strictSame(await all(a.rpc.stream('b', countTo, { to: 0 })), [])
})

t.test('errors arrive with their code, those of newer releases as internal', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  await b.rpc.handle(double, ({ x }) => {
    if (x === 0) throw new TypeError('a bug')
    throw Object.assign(new MeshError('busy', 'later', { details: { retryAfterMs: 7 } }), {
      ...(x === 2 && { code: 'invented_later' }),
    })
  })
  const asking = (x: number) => a.rpc.call('b', double, { x })
  await t.rejects(asking(1), { code: 'busy', message: 'later', details: { retryAfterMs: 7 } })
  await t.rejects(asking(2), { code: 'internal', message: 'later' })
  await t.rejects(asking(0), { code: 'internal', message: 'a bug' })
  t.match(b.warnings, [/double/], 'a bug is told to its owner')
})

t.test('whoever asks nonsense or too often is told so', async (t) => {
  let nowMs = 0
  const { a, b } = memoryPeers(['a', 'b'], () => nowMs)
  await b.rpc.handle(double, ({ x }) => x)
  const nonsense = { x: 'one' as never }
  await t.rejects(a.rpc.call('b', double, nonsense), { code: 'peer_incompatible' })
  for (let i = 1; i < limits.perMinute; i++) await a.rpc.call('b', double, { x: i })
  await t.rejects(a.rpc.call('b', double, { x: 1 }), {
    code: 'busy',
    details: { retryAfterMs: 1000 },
  })
  nowMs = 1000
  t.equal(await a.rpc.call('b', double, { x: 1 }), 1)
  await t.rejects(a.rpc.call('b', double, { x: 1 }), { code: 'busy' })
})

t.test('what is too large or not as promised is not let in', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  let handled = 0
  await b.rpc.handle(countTo, async function* ({ to }) {
    handled++
    yield to === 1 ? (7 as unknown as string) : 'x'.repeat(to)
  })
  const huge = { to: 1, more: 'x'.repeat(2000) }
  await t.rejects(all(a.rpc.stream('b', countTo, huge)), { code: /internal|peer_unreachable/ })
  t.equal(handled, 0, 'it was not even handled')
  await t.rejects(all(a.rpc.stream('b', countTo, { to: 1 })), { code: 'peer_incompatible' })
  const tooMuch = a.rpc.stream('b', countTo, { to: 200_000 })
  await t.rejects(all(tooMuch), { code: 'peer_unreachable', message: /200/ })
})

t.test('a stream that breaks is no end', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  await b.rpc.handle(countTo, async function* (_, { signal }) {
    yield 'first'
    await once(signal, 'abort')
  })
  const answers = a.rpc.stream('b', countTo, { to: 2 })
  t.equal((await answers.next()).value, 'first')
  const next = answers.next()
  a.lastStream().abort(new Error('cut'))
  await t.rejects(next, { code: 'peer_unreachable' })
})

t.test('whoever stops listening ends the work of the other', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  let ended: Promise<unknown> = Promise.resolve()
  await b.rpc.handle(countTo, async function* (_, { signal }) {
    ended = once(signal, 'abort')
    for (;;) {
      yield 'more'
      await new Promise(setImmediate)
    }
  })
  for await (const one of a.rpc.stream('b', countTo, { to: 1 })) {
    t.equal(one, 'more')
    break
  }
  await ended
  const cancelled = new AbortController()
  const waiting = all(a.rpc.stream('b', countTo, { to: 1 }, { signal: cancelled.signal }))
  cancelled.abort()
  await t.rejects(waiting, { code: 'interrupted' })
})

/** Doubling as a release says it that counts in tenths. */
const doubleOfLastRelease: Protocol<{ tenths: number }, { tenths: number }> = {
  id: '/comfymesh/double/1',
  replies: 'one',
  request: z.object({ tenths: z.number() }),
  reply: z.object({ tenths: z.number() }),
  ...limits,
}
const doubleOfThisRelease: Protocol<{ x: number }, number> = {
  ...double,
  id: '/comfymesh/double/2',
  former: {
    ...double,
    request: doubleOfLastRelease.request.transform(({ tenths }) => ({ x: tenths / 10 })),
    reply: doubleOfLastRelease.reply.transform(({ tenths }) => tenths / 10),
    say: {
      request: ({ x }) => ({ tenths: 10 * x }),
      reply: (doubled) => ({ tenths: 10 * doubled }),
    },
  },
}

t.test('two adjacent releases understand each other, whoever asks', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  await a.rpc.handle(doubleOfLastRelease, ({ tenths }) => ({ tenths: 2 * tenths }))
  await b.rpc.handle(doubleOfThisRelease, ({ x }) => 2 * x)
  t.equal(await b.rpc.call('a', doubleOfThisRelease, { x: 4 }), 8, 'the newer asks the older')
  t.strictSame(await a.rpc.call('b', doubleOfLastRelease, { tenths: 50 }), { tenths: 100 })
  t.equal(await b.rpc.call('b', doubleOfThisRelease, { x: 4 }), 8, 'the newest row first')
  const nonsense = a.rpc.call('b', doubleOfLastRelease, { tenths: 'x' as never })
  await t.rejects(nonsense, { code: 'peer_incompatible', message: /double\/1 is malformed/ })
})

t.test('of many answers those are left out that the release before does not know', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  const newer: Protocol<{ to: number }, string> = {
    ...countTo,
    id: '/comfymesh/count/2',
    former: {
      ...countTo,
      say: {
        request: (request) => request,
        reply: (word) => (word === 'new' ? undefined : word),
      },
    },
  }
  await b.rpc.handle(newer, async function* () {
    yield* ['old', 'new', 'old']
  })
  t.strictSame(await all(a.rpc.stream('b', countTo, { to: 1 })), ['old', 'old'])
  t.strictSame(await all(a.rpc.stream('b', newer, { to: 1 })), ['old', 'new', 'old'])
})

t.test('a peer without any row in common is told with both releases', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  await b.rpc.handle({ ...double, id: '/comfymesh/double/3' }, ({ x }) => x)
  const message = new RegExp(`comfymesh 0\\.0\\.1 there, ${version.replaceAll('.', '\\.')} here`)
  const asking = a.rpc.call('b', doubleOfThisRelease, { x: 1 })
  await t.rejects(asking, { code: 'peer_incompatible', message, details: { peerId: 'b' } })
})

t.test('both rows share one quota', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'], () => 0)
  await b.rpc.handle(doubleOfThisRelease, ({ x }) => x)
  for (let i = 0; i < limits.perMinute; i++) await a.rpc.call('b', doubleOfThisRelease, { x: i })
  await t.rejects(a.rpc.call('b', doubleOfLastRelease, { tenths: 1 }), { code: 'busy' })
})

t.test('nobody there', async (t) => {
  const { a } = memoryPeers(['a'])
  await t.rejects(a.rpc.call('x', double, { x: 1 }), { code: 'peer_unreachable' })
})

t.test('a message is its length and JSON with whole numbers of 64 bits', async (t) => {
  const bytes = Buffer.from(encodeMessage({ seed: 2n ** 64n - 1n }))
  t.equal(bytes.readUInt32BE(), bytes.length - 4)
  t.equal(bytes.toString('utf8', 4), '{"seed":18446744073709551615}')
})
