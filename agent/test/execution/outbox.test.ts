import t from 'tap'
import { createOutbox } from '../../src/execution/outbox.ts'

const bothSmall = (last: number, next: number) => last < 10 && next < 10

t.test('in order, but of what is of the moment the latest', async (t) => {
  const outbox = createOutbox(bothSmall)
  for (const item of [1, 2, 10, 11, 3, 4]) outbox.put(item)
  const taken: (number | undefined)[] = []
  for (let i = 0; i < 4; i++) taken.push(await outbox.next(10_000))
  t.strictSame(taken, [2, 10, 11, 4])
})

t.test('who waits gets the next one at once, or nothing after a while', async (t) => {
  const outbox = createOutbox(bothSmall)
  const next = outbox.next(60_000)
  outbox.put(1)
  t.equal(await next, 1)
  t.equal(await outbox.next(1), undefined)
  outbox.put(2)
  t.equal(await outbox.next(60_000), 2)
})
