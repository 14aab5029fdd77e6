/** Loads of machines over time. */
import { LOAD_HISTORY_MS, withLoads } from '@comfymesh/protocol/loads'
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import t from 'tap'

t.test('loads are kept for as long as the charts show', async (t) => {
  const card = { name: 'GPU', kind: 'gpu', totalBytes: 200, freeBytes: 50, utilisationPercent: 30 }
  const peer = (devices: object[]) =>
    ({ peerId: 'a', advertisement: { devices, queue: { running: 1, waiting: 2 } } }) as never
  const cpu = { name: 'CPU', kind: 'cpu', totalBytes: 100 }
  const first = withLoads({}, [peer([cpu, card])], 1000)
  t.strictSame(first.a, [{ atMs: 1000, jobs: 3, memoryPercent: 75, loadPercent: 30 }])
  const second = withLoads(first, [peer([cpu])], 1000 + LOAD_HISTORY_MS)
  t.strictSame(second.a!.at(-1), { atMs: 1000 + LOAD_HISTORY_MS, jobs: 3 })
  t.equal(second.a!.length, 2)
  const away = withLoads(second, [{ peerId: 'a' } as MeshPeer], 1001 + LOAD_HISTORY_MS)
  t.equal(away.a!.length, 1, 'a machine that is away tells nothing new')
  t.strictSame(withLoads(away, [], 0), {})
})
