/** What the page knows of the mesh: loads over time, traffic, models. */
import type { JobState } from '@comfymesh/protocol/job'
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import type { MeshModel } from '@comfymesh/protocol/mesh-models'
import t from 'tap'
import { HISTORY_MS, withSamples } from '../../../../coordinator-ui/src/state/load-history.ts'
import { filterModels, residentNames } from '../../../../coordinator-ui/src/state/models.ts'
import { trafficOf } from '../../../../coordinator-ui/src/state/traffic.ts'

t.test('loads are kept for as long as the charts show', async (t) => {
  const card = { name: 'GPU', kind: 'gpu', totalBytes: 200, freeBytes: 50, utilisationPercent: 30 }
  const peer = (devices: object[]) =>
    ({ peerId: 'a', advertisement: { devices, queue: { running: 1, waiting: 2 } } }) as never
  const cpu = { name: 'CPU', kind: 'cpu', totalBytes: 100 }
  const first = withSamples(new Map(), [peer([cpu, card])], 1000)
  t.strictSame(first.get('a'), [{ atMs: 1000, jobs: 3, memoryPercent: 75, loadPercent: 30 }])
  const second = withSamples(first, [peer([cpu])], 1000 + HISTORY_MS)
  t.strictSame(second.get('a')!.at(-1), { atMs: 1000 + HISTORY_MS, jobs: 3 })
  t.equal(second.get('a')!.length, 2)
  const away = withSamples(second, [{ peerId: 'a' } as MeshPeer], 1001 + HISTORY_MS)
  t.equal(away.get('a')!.length, 1, 'a machine that is away tells nothing new')
  t.equal(withSamples(away, [], 0).size, 0)
})

t.test('something moves to where a stage runs, from where its inputs were made', async (t) => {
  const job = {
    status: 'running',
    plan: { edges: [{ from: 's1', to: 's2', travels: true }] },
    stages: [{ stageId: 's1', peerId: 'b' }],
    attempts: [
      { stageId: 's1', peerId: 'b', status: 'finished' },
      { stageId: 's2', peerId: 'c', status: 'sent' },
    ],
  } as unknown as JobState
  t.strictSame(trafficOf([job], 'a'), [
    { from: 'a', to: 'c' },
    { from: 'b', to: 'c' },
  ])
  t.strictSame(trafficOf([job], 'c'), [{ from: 'b', to: 'c' }], 'nothing travels to itself')
  t.strictSame(trafficOf([{ ...job, status: 'completed' }], 'a'), [])
})

t.test('models are found by name, kind, family and machine', async (t) => {
  const file = (id: string, peerName: string, resident = false) => ({
    id,
    sizeBytes: 1,
    family: 'a Flux model',
    holders: [{ peerId: peerName, peerName, resident }],
  })
  const models: MeshModel[] = [
    { kind: 'checkpoints', name: 'dream.safetensors', files: [file('1', 'anna', true)] },
    { kind: 'loras', name: 'ink.safetensors', files: [file('2', 'anna'), file('3', 'bert')] },
  ]
  const found = (search: string, more = {}) =>
    filterModels(models, { search, kind: null, differing: false, ...more }).map(({ name }) => name)
  t.strictSame(found('BERT flux'), ['ink.safetensors'])
  t.strictSame(found('checkpoint'), ['dream.safetensors'])
  t.strictSame(found('', { kind: 'loras' }), ['ink.safetensors'])
  t.strictSame(found('', { differing: true }), ['ink.safetensors'])
  t.strictSame(residentNames(models, 'anna'), ['dream.safetensors'])
})
