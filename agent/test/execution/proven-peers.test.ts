/** A machine is ready when a stage succeeded there since it joined, and not before. */
import t from 'tap'
import type { JobUpdate } from '../../src/execution/live-job.ts'
import { createProvenPeers } from '../../src/execution/proven-peers.ts'

t.test('proof is gone with the connection', async (t) => {
  const hear = new Set<(update: JobUpdate) => void>()
  const change = new Set<() => void>()
  let present = ['b', 'c']
  const proven = createProvenPeers({
    runner: {
      subscribe: (listener) => {
        hear.add(listener)
        return () => hear.delete(listener)
      },
    },
    mesh: {
      peerId: 'a',
      present: () => present.map((peerId) => ({ peerId }) as never),
      onChange: (listener) => {
        change.add(listener)
        return () => change.delete(listener)
      },
    },
  })
  const finish = (peerId: string, atMs: number) => {
    for (const listener of hear) {
      listener({ event: { type: 'stage-finished', peerId, atMs } } as unknown as JobUpdate)
    }
  }
  const move = (...peers: string[]) => {
    present = peers
    for (const listener of change) listener()
  }
  t.equal(proven.workedAtMs('b'), undefined)
  finish('a', 1)
  finish('b', 2)
  t.strictSame([proven.workedAtMs('a'), proven.workedAtMs('b')], [1, 2])
  t.equal(proven.workedAtMs('c'), undefined)
  move('c')
  move('b', 'c')
  t.equal(proven.workedAtMs('b'), undefined, 'it has to prove itself anew')
  t.equal(proven.workedAtMs('a'), 1, 'this machine never goes')
  proven.stop()
  t.equal(hear.size + change.size, 0)
})
