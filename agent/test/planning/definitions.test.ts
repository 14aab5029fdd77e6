/** The nodes of a mesh as its clients see them. */
import type { NodeDefinition } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { definitionsOf, unionOf } from '../../src/planning/definitions.ts'
import { peer, testNodes } from './meshes.ts'

const options = (definition: NodeDefinition | undefined, input: string) =>
  definition?.input.required?.[input]?.[0]

t.test('models that only another peer has appear', async (t) => {
  const union = definitionsOf([
    peer('front', { has: ['sd15.safetensors'], lacksNodes: ['FindFaces'] }),
    peer('big', { has: ['sdxl.safetensors', 'sd15.safetensors'] }),
    peer('gone', { has: ['unet.safetensors'], isAway: true }),
  ])
  t.strictSame(options(union.CheckpointLoaderSimple, 'ckpt_name'), [
    'sd15.safetensors',
    'sdxl.safetensors',
  ])
  t.ok(union.FindFaces, 'and nodes that only another peer has')
  t.strictSame(options(union.UNETLoader, 'unet_name'), [], 'not those of a peer that is away')
  t.strictSame(options(union.KSampler, 'scheduler'), options(testNodes.KSampler, 'scheduler'))
})

t.test('one peer alone: its own definitions, not a copy', async (t) => {
  const only = peer('only')
  t.equal(definitionsOf([only]), only.definitions)
  t.strictSame(definitionsOf([]), {})
})

const node = (required: object, output = ['IMAGE']) => ({
  X: { ...testNodes.KSampler!, name: 'X', input: { required }, output } as NodeDefinition,
})

t.test('both spellings of a dropdown, and of a path', async (t) => {
  const union = unionOf([
    node({ file: ['COMBO', { options: ['sub/a.pth'], tooltip: 'x' }] }),
    node({ file: ['COMBO', { options: ['sub\\a.pth', 'b.pth'] }] }),
    node({ file: [['c.pth']] }),
  ])
  t.strictSame(union.X!.input.required!.file, [
    'COMBO',
    { options: ['sub/a.pth', 'b.pth', 'c.pth'], tooltip: 'x' },
  ])
})

t.test('of different definitions that of most peers counts, then the first', async (t) => {
  const old = node({ image: ['IMAGE'] })
  const changed = node({ image: ['IMAGE'], size: ['INT'] })
  const newer = node({ image: ['IMAGE'] }, ['IMAGE', 'MASK'])
  t.strictSame(unionOf([old, changed, { ...changed }]).X, changed.X)
  t.strictSame(unionOf([old, changed, newer]).X, old.X)
})

t.test('uploaded files are those of who submits', async (t) => {
  const loader = (...files: string[]) => node({ image: [files], mode: [['a']] })
  const here = loader('mine.png')
  const there = loader('theirs.png')
  const union = unionOf([here, there], () => ['image'])
  t.strictSame(union.X!.input.required!.image, [['mine.png']])
  t.strictSame(unionOf([here, there]).X!.input.required!.image, [['mine.png', 'theirs.png']])
})
