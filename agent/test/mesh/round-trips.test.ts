/** How far away peers are. */
import t from 'tap'
import { createRoundTrips } from '../../src/mesh/round-trips.ts'

t.test('the least of several answers, of whoever answers', async (t) => {
  let nowMs = 0
  const answersMs = new Map([
    ['near', [4, 2, 8]],
    ['old', []],
  ])
  const roundTrips = createRoundTrips({
    rpc: {
      async call(peerId) {
        const tookMs = answersMs.get(peerId)!.shift()
        if (tookMs === undefined) throw new Error('it does not know the protocol')
        nowMs += tookMs
        return {} as never
      },
    },
    present: () => [],
    now: () => nowMs,
  })
  t.teardown(() => roundTrips.stop())
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  roundTrips.arrived('near')
  roundTrips.arrived('old')
  await settled()
  t.strictSame([...roundTrips.current()], [['near', 2]], 'an answer is two round trips')
  roundTrips.arrived('near')
  await settled()
  t.strictSame([...roundTrips.current()], [['near', 1]], 'over a new connection it is another')
})
