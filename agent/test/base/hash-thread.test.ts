/** Hashing in another thread: the right digest for each of many, in place. */
import { createHash } from 'node:crypto'
import t from 'tap'
import { createHashThread, sharedRoom } from '../../src/base/hash-thread.ts'

t.test('many at once, parts of shared memory too', async (t) => {
  const thread = createHashThread()
  const room = sharedRoom(2_000_000)
  room.forEach((_, index) => {
    room[index] = index % 251
  })
  const parts = Array.from({ length: 20 }, (_, i) =>
    room.subarray(i * 1000, 2_000_000 - i * 90_000),
  )
  const digests = await Promise.all(parts.map((part) => thread.sha256(part)))
  const expected = parts.map((part) => createHash('sha256').update(part).digest())
  t.strictSame(digests, expected)
})
