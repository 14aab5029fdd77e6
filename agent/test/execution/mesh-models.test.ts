/** The models of the mesh: one list of what several machines hold. */
import { type Catalog, minimalAdvertisement } from '@comfymesh/protocol/advertisement'
import t from 'tap'
import { createMeshModels, mergeModels } from '../../src/execution/mesh-models.ts'
import type { PeerOffer } from '../../src/planning/peers.ts'

const model = (name: string, id: string, more: Partial<Catalog[number]> = {}): Catalog[number] => ({
  kind: 'checkpoints',
  name,
  id,
  sizeBytes: 7,
  ...more,
})

t.test('a file that several machines have stands there once, differing ones apart', async (t) => {
  const models = mergeModels([
    {
      peerId: 'a',
      peerName: 'anna',
      catalog: [model('same.safetensors', '1'), model('other.safetensors', '2')],
      resident: new Set(['1']),
    },
    {
      peerId: 'b',
      peerName: 'bert',
      catalog: [
        model('same.safetensors', '1', { family: 'Flux' }),
        model('other.safetensors', '3'),
        model('same.safetensors', '1', { kind: 'vae' }),
      ],
      resident: new Set(),
    },
  ])
  const anna = { peerId: 'a', peerName: 'anna' }
  const bert = { peerId: 'b', peerName: 'bert', resident: false }
  t.strictSame(models, [
    {
      kind: 'checkpoints',
      name: 'other.safetensors',
      files: [
        { id: '2', sizeBytes: 7, holders: [{ ...anna, resident: false }] },
        { id: '3', sizeBytes: 7, holders: [bert] },
      ],
    },
    {
      kind: 'checkpoints',
      name: 'same.safetensors',
      files: [
        { id: '1', sizeBytes: 7, family: 'Flux', holders: [{ ...anna, resident: true }, bert] },
      ],
    },
    {
      kind: 'vae',
      name: 'same.safetensors',
      files: [{ id: '1', sizeBytes: 7, holders: [bert] }],
    },
  ])
})

t.test('machines whose models are not known are named', async (t) => {
  const offer = (name: string, more: Partial<PeerOffer> = {}): PeerOffer => {
    const advertisement = minimalAdvertisement({ peerId: name, name, version: '1' })
    return { advertisement, definitions: {}, judgedInputs: () => [], ...more }
  }
  const theirs = offer('bert', { catalog: [model('theirs.safetensors', '1')] })
  const read = createMeshModels(
    { peerId: 'here', name: 'here' },
    {
      catalog: {
        read: async () => [model('mine.safetensors', '2')],
        identityOf: (path) => (path === '/models/mine.safetensors' ? '2' : undefined),
      },
      executor: { openModelFiles: () => ['/models/mine.safetensors', '/elsewhere'] },
      others: () => [
        { ...theirs, advertisement: { ...theirs.advertisement, residentModels: ['1'] } },
        offer('mute'),
        offer('gone', { catalog: [], absence: 'away' }),
      ],
    },
  )
  const { models, unknown } = await read()
  t.match(models, [
    { name: 'mine.safetensors', files: [{ holders: [{ peerName: 'here', resident: true }] }] },
    { name: 'theirs.safetensors', files: [{ holders: [{ peerName: 'bert', resident: true }] }] },
  ])
  t.strictSame(unknown, [
    { peerName: 'mute', reason: 'its models are not known yet' },
    { peerName: 'gone', reason: 'away' },
  ])
})
