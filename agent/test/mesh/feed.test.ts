/** A value and its followers. */
import { once } from 'node:events'
import t from 'tap'
import { createFeed } from '../../src/mesh/feed.ts'

const SELDOM_MS = 3_600_000

t.test('each follower hears the value at once, then every change', async (t) => {
  const feed = createFeed({ initial: 'one', pulseMs: SELDOM_MS })
  t.teardown(() => feed.stop())
  const ended = new AbortController()
  const follower = feed.follow(ended.signal, true)
  t.equal((await follower.next()).value, 'one')
  const next = follower.next()
  feed.set('two')
  t.equal((await next).value, 'two')
  t.equal(
    (await feed.follow(ended.signal, false).next()).value,
    'two',
    'latecomers hear the newest',
  )
  const last = follower.next()
  ended.abort()
  t.ok((await last).done)
})

t.test('a change between two looks is not missed', async (t) => {
  const feed = createFeed({ initial: 1, pulseMs: SELDOM_MS })
  t.teardown(() => feed.stop())
  const ended = new AbortController()
  const follower = feed.follow(ended.signal, false)
  await follower.next()
  feed.set(2)
  feed.set(3)
  t.equal((await follower.next()).value, 3)
  ended.abort()
})

t.test('without a change there is a sign of life for those who want it', async (t) => {
  const feed = createFeed({ initial: 1, pulseMs: 5 })
  t.teardown(() => feed.stop())
  const ended = new AbortController()
  const follower = feed.follow(ended.signal, true)
  const other = feed.follow(ended.signal, false)
  t.equal((await follower.next()).value, 1)
  await other.next()
  const others = other.next()
  // The feed's own clock keeps no process alive.
  const alive = setInterval(() => {}, 1000)
  t.strictSame(await follower.next(), { value: undefined, done: false })
  t.strictSame(await follower.next(), { value: undefined, done: false })
  feed.set(2)
  t.strictSame(await others, { value: 2, done: false }, 'the next that this one heard')
  clearInterval(alive)
  const over = once(ended.signal, 'abort')
  ended.abort()
  await over
})
