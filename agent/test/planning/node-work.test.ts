import type { Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { worksOf } from '../../src/planning/node-work.ts'

const loader = { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'a.safetensors' } }
const sampler = (more: object = {}) => ({
  class_type: 'KSampler',
  inputs: { seed: 1, steps: 20, model: ['4', 0], latent_image: ['5', 0], ...more },
})
const latent = (more: object = {}) => ({
  class_type: 'EmptyLatentImage',
  inputs: { width: 512, height: 256, batch_size: 1, ...more },
})
const decode = { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } }
const prompt = (nodes: object): Prompt =>
  ({ 3: sampler(), 4: loader, 5: latent(), 8: decode, ...nodes }) as unknown as Prompt

const workOf = (nodes: object, id: string, outputs = ['8']) =>
  worksOf(prompt(nodes), outputs).find(({ nodeId }) => nodeId === id)

t.test('steps, pixels, pictures and the model of a node', async (t) => {
  const pixels = 512 * 256
  t.match(workOf({}, '3'), { classType: 'KSampler', model: 'a.safetensors', work: 20 * pixels })
  t.match(workOf({}, '8'), { model: 'a.safetensors', work: pixels }, 'decoding takes no steps')
  t.match(workOf({}, '4'), { model: 'a.safetensors', work: 1 })
  t.match(workOf({ 5: latent({ batch_size: 4 }) }, '8'), { work: 4 * pixels })
  const part = sampler({ start_at_step: 5, end_at_step: 10_000 })
  t.match(workOf({ 3: part }, '3'), { work: 15 * pixels })
  const schedule = { class_type: 'BasicScheduler', inputs: { steps: 7, model: ['4', 0] } }
  const custom = sampler({ steps: undefined, sigmas: ['9', 0] })
  t.match(workOf({ 3: custom, 9: schedule }, '3'), { work: 7 * pixels })
})

t.test('a LoRA is not the model', async (t) => {
  const lora = { class_type: 'LoraLoader', inputs: { lora_name: 'l.safetensors', model: ['4', 0] } }
  t.match(workOf({ 3: sampler({ model: ['6', 0] }), 6: lora }, '3'), { model: 'a.safetensors' })
})

t.test('only what the outputs need, each after what it is linked to', async (t) => {
  const ids = worksOf(prompt({ 1: loader }), ['8']).map(({ nodeId }) => nodeId)
  t.strictSame(ids.toSorted(), ['3', '4', '5', '8'])
  t.strictSame(ids.slice(-2), ['3', '8'])
})

t.test('equal nodes have equal contents, whatever they are called', async (t) => {
  const content = (nodes: object, id = '3') => workOf(nodes, id)!.content
  const renamed = worksOf(
    {
      a: loader,
      b: latent(),
      c: sampler({ model: ['a', 0], latent_image: ['b', 0] }),
    } as unknown as Prompt,
    ['c'],
  ).at(-1)!.content
  t.equal(renamed, content({}))
  t.not(content({ 3: sampler({ seed: 2 }) }), content({}))
  t.not(content({ 5: latent({ width: 64 }) }), content({}), 'their ancestors count')
  t.equal(content({ 3: sampler({ seed: 2 }) }, '5'), content({}, '5'))
})

t.test('a chain of a hundred thousand nodes, and one that bites its tail', async (t) => {
  const long: Record<string, object> = { 0: loader }
  for (let i = 1; i < 100_000; i++) long[i] = { class_type: 'X', inputs: { x: [String(i - 1), 0] } }
  t.match(worksOf(long as unknown as Prompt, ['99999']).at(-1), { model: 'a.safetensors' })
  const ring = {
    a: { class_type: 'X', inputs: { x: ['b', 0] } },
    b: { class_type: 'X', inputs: { x: ['a', 0] } },
  }
  t.equal(worksOf(ring as unknown as Prompt, ['a']).length, 2)
  t.strictSame(worksOf(ring as unknown as Prompt, ['gone']), [])
})
