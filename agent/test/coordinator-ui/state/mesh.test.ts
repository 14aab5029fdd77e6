/** What the page knows of the mesh: traffic and models. */
import type { JobState } from '@comfymesh/protocol/job'
import type { MeshModel } from '@comfymesh/protocol/mesh-models'
import t from 'tap'
import { filterModels, residentNames } from '../../../../coordinator-ui/src/state/models.ts'
import { trafficOf } from '../../../../coordinator-ui/src/state/traffic.ts'

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
