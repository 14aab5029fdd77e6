import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import t from 'tap'
import type { NameLists, NodeContext } from '../../../../src/executors/native/node.ts'
import { loaderNodes } from '../../../../src/executors/native/nodes/loaders.ts'
import { ModelFolders } from '../../../../src/models/folders.ts'

const root = t.testdir({
  checkpoints: { sub: { 'model.safetensors': '' } },
  loras: { 'style.safetensors': '' },
  vae: { 'vae.safetensors': '' },
  diffusion_models: { 'unet.safetensors': '' },
  text_encoders: { 'clip.safetensors': '' },
})

const folders = new ModelFolders({
  models: {
    checkpoints: [join(root, 'checkpoints')],
    loras: [join(root, 'loras')],
    vae: [join(root, 'vae')],
    diffusion_models: [join(root, 'diffusion_models')],
    text_encoders: [join(root, 'text_encoders')],
  },
  input: '',
  output: '',
  temp: '',
})

const nodeNamed = (name: string) => loaderNodes.find((node) => node.name === name)!

const warnings: string[] = []
const warn = (message: string) => warnings.push(message)

/** Nothing is wrong with any file. */
const soundModels = {
  denoiser: async () => ({}),
  autoencoder: async () => ({}),
  textEncoder: async () => ({}),
  loraDoubt: async () => undefined,
} as unknown as NodeContext['models']

async function run(name: string, inputs: { [name: string]: unknown }, models = soundModels) {
  return (
    await nodeNamed(name).run(inputs, {
      folders,
      models,
      warn,
    } as Partial<NodeContext> as NodeContext)
  ).outputs
}

const path = join(root, 'checkpoints', 'sub', 'model.safetensors')
const model = { kind: 'MODEL', path, loras: [] }
const clip = { kind: 'CLIP', path, loras: [], lastLayer: -1 }

t.test(
  'CheckpointLoaderSimple hands out three handles, by a name of either platform',
  async (t) => {
    for (const ckpt_name of ['sub/model.safetensors', 'sub\\model.safetensors']) {
      const outputs = await run('CheckpointLoaderSimple', { ckpt_name })
      t.strictSame(outputs, [model, clip, { kind: 'VAE', path }])
    }
  },
)

t.test('VAELoader', async (t) => {
  const outputs = await run('VAELoader', { vae_name: 'vae.safetensors' })
  t.strictSame(outputs, [{ kind: 'VAE', path: join(root, 'vae', 'vae.safetensors') }])
})

t.test('VAELoader without a file', async (t) => {
  t.strictSame(await run('VAELoader', { vae_name: 'pixel_space' }), [{ kind: 'VAE', path: null }])
  const lists: NameLists = { models: () => ['vae.safetensors'], inputFiles: () => [] }
  const { vae_name } = nodeNamed('VAELoader').definition(lists).input.required!
  t.strictSame(vae_name, [['vae.safetensors', 'pixel_space']], 'after the files, as in ComfyUI')
})

t.test('networks in files of their own', async (t) => {
  t.strictSame(
    await run('UNETLoader', { unet_name: 'unet.safetensors', weight_dtype: 'default' }),
    [{ kind: 'MODEL', path: join(root, 'diffusion_models', 'unet.safetensors'), loras: [] }],
  )
  const text = join(root, 'text_encoders', 'clip.safetensors')
  t.strictSame(
    await run('CLIPLoader', { clip_name: 'clip.safetensors', type: 'stable_diffusion' }),
    [{ kind: 'CLIP', path: text, loras: [], lastLayer: -1 }],
  )
})

t.test('a missing file is an error that names the folders searched', async (t) => {
  await t.rejects(run('CheckpointLoaderSimple', { ckpt_name: 'gone.safetensors' }), {
    code: 'not_found',
    message: `'gone.safetensors' among the checkpoints. Put it into one of the folders searched: ${join(root, 'checkpoints')}`,
  })
})

t.test('what is wrong with a file is said when it is loaded', async (t) => {
  const malformed = async (): Promise<never> => {
    throw new MeshError('malformed_file', 'cut off')
  }
  const broken = { ...soundModels, denoiser: malformed, autoencoder: malformed }
  const [checkpoint, vae] = [
    { ckpt_name: 'sub/model.safetensors' },
    { vae_name: 'vae.safetensors' },
  ]
  await t.rejects(run('CheckpointLoaderSimple', checkpoint, broken), { code: 'malformed_file' })
  await t.rejects(run('VAELoader', vae, broken), { code: 'malformed_file' })
})

t.test('LoRAs add up on the handles, each with its strength', async (t) => {
  const lora = { lora_name: 'style.safetensors', strength_model: 0.5, strength_clip: -1 }
  const [one, clipWithLora] = await run('LoraLoader', { model, clip, ...lora })
  const file = join(root, 'loras', 'style.safetensors')
  t.strictSame(one, { ...model, loras: [{ path: file, strength: 0.5 }] })
  t.strictSame(clipWithLora, { ...clip, loras: [{ path: file, strength: -1 }] })
  const [two] = await run('LoraLoaderModelOnly', { model: one, ...lora, strength_model: 2 })
  t.match(two, { loras: [{ strength: 0.5 }, { strength: 2 }] })
})

t.test('what of a LoRA fits none of its models is warned of', async (t) => {
  const asked: unknown[] = []
  const models = {
    ...soundModels,
    loraDoubt: async (...about: unknown[]) => {
      asked.push(about)
      return 'It changes nothing.'
    },
  }
  const lora = { lora_name: 'style.safetensors', strength_model: 1, strength_clip: 0 }
  await run('LoraLoader', { model, clip, ...lora }, models)
  await run('LoraLoaderModelOnly', { model, ...lora }, models)
  const file = join(root, 'loras', 'style.safetensors')
  t.strictSame(asked, [
    [file, [model, clip]],
    [file, [model]],
  ])
  t.strictSame(warnings, ['It changes nothing.', 'It changes nothing.'])
})

t.test('at strength 0 a LoRA is not even looked for', async (t) => {
  const nothing = { lora_name: 'gone.safetensors', strength_model: 0, strength_clip: 0 }
  t.strictSame(await run('LoraLoader', { model, clip, ...nothing }), [model, clip])
  t.strictSame(await run('LoraLoaderModelOnly', { model, ...nothing }), [model])
})

t.test('a replaced file changes the fingerprint', async (t) => {
  const file = join(root, 'loras', 'new.safetensors')
  mkdirSync(join(root, 'loras'), { recursive: true })
  writeFileSync(file, 'a')
  const fingerprint = () =>
    nodeNamed('LoraLoader').fingerprint!({ lora_name: 'new.safetensors' }, folders)
  const before = await fingerprint()
  t.equal(await fingerprint(), before)
  utimesSync(file, 1, 1)
  t.not(await fingerprint(), before)
})
