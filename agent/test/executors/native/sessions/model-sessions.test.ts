import { copyFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createModelSessions } from '../../../../src/executors/native/sessions/model-sessions.ts'
import type { SessionSettings } from '../../../../src/executors/native/sessions/settings.ts'
import type { Tensor } from '../../../../src/executors/native/values.ts'
import { goldenTensors } from '../../../goldens.ts'
import { type Shapes, writeRuleModel, writeSafetensors } from '../../../models/model-files.ts'
import { addPair, checkpointOf, type MadeLora, UNET, underscored } from '../graphs/made-loras.ts'
import { inputValues, type NetworkCase, networkCases } from '../graphs/network-goldens.ts'
import { relativeError } from '../graphs/run-graph.ts'

const golden = goldenTensors('networks')
const cpu = { name: 'cpu', ok: true, fusedAttention: true, halfPrecision: false } as const
const [unet, vae, text] = (['unet', 'vae', 'text'] as const).map((kind) => networkCases(kind)[0]!)
const whole: Shapes = Object.assign({}, ...[unet, vae, text].map((network) => network!.shapes))

const sessionsOf = (settings: SessionSettings = {}) =>
  createModelSessions({ threads: 1, ...settings }, [cpu])

function inputOf(network: NetworkCase, run: number, name: string): Tensor {
  const input = network.runs[run]!.inputs[name]!
  return { data: inputValues(input), shape: input.shape }
}

t.test('a checkpoint answers as PyTorch does, in f32 on one file', async (t) => {
  const path = writeRuleModel(t.testdir(), whole, { name: 'whole' })
  const models = sessionsOf()
  const denoiser = await models.denoiser({ kind: 'MODEL', path, loras: [] })
  t.match(denoiser, { prediction: 'epsilon', latentChannels: 4, latentScale: 0.18215 })
  for (const [index, { timesteps, outputs }] of unet!.runs.entries()) {
    const x = inputOf(unet!, index, 'x')
    const answer = await denoiser.predict(x, timesteps!, inputOf(unet!, index, 'context'))
    t.same(answer.shape, x.shape)
    t.ok(relativeError(answer.data, golden(outputs.eps!).data) < 1e-4)
  }

  const encoder = await models.textEncoder({ kind: 'CLIP', path, loras: [], lastLayer: -1 })
  const [first] = text!.runs
  const { hidden, pooled } = await encoder.encode([first!.tokens!])
  t.same(
    [hidden.shape, pooled.shape],
    [
      [1, 77, encoder.width],
      [1, encoder.width],
    ],
  )
  t.ok(relativeError(hidden.data, golden(first!.outputs.last!).data) < 1e-4)
  t.ok(relativeError(pooled.data, golden(first!.outputs.pooled!).data) < 1e-4)
  const [vector] = await encoder.tokenEmbeddings([first!.tokens![3]!])
  const mixed = await encoder.encode([first!.tokens!.with(3, vector as never)])
  t.same(mixed.hidden.data, hidden.data, 'a token and its vector are the same')
  t.ok(models.sessionMs > 0)
  t.equal(models.provider, 'cpu')
})

t.test('a batch is the sum of its parts, whatever memory allows', async (t) => {
  const path = writeRuleModel(t.testdir(), whole, { name: 'whole' })
  const x = { data: new Float32Array(3 * 4 * 64).map((_, i) => Math.sin(i)), shape: [3, 4, 8, 8] }
  const context = inputOf(unet!, 0, 'context')
  const width = context.shape[2]!
  const contexts = new Float32Array(3 * 77 * width).map((_, i) => Math.cos(i))
  const run = async (settings: SessionSettings): Promise<Tensor> => {
    const denoiser = await sessionsOf(settings).denoiser({ kind: 'MODEL', path, loras: [] })
    return denoiser.predict(x, [999, 500, 0.5], { data: contexts, shape: [3, 77, width] })
  }
  const [together, apart] = [await run({}), await run({ memoryBudgetBytes: 1 })]
  t.ok(relativeError(apart.data, together.data) < 1e-5)
})

t.test('LoRAs apply at their strengths, on one session', async (t) => {
  const folder = t.testdir()
  const checkpoint = await checkpointOf(folder)
  const made: MadeLora = { tensors: {}, changes: {} }
  const module = 'input_blocks.1.1.transformer_blocks.0.attn1.to_q'
  addPair(
    made,
    `${UNET}${module}`,
    (part) => `lora_unet_${underscored(module)}.lora_${part}.weight`,
  )
  const lora = writeSafetensors(join(folder, 'lora.safetensors'), made.tensors)
  const models = sessionsOf()
  const x = { data: inputValues({ name: 'x', shape: [1, 4, 8, 4] }), shape: [1, 4, 8, 4] }
  const contextShape = [1, 77, checkpoint.unet!.contextWidth]
  const context = {
    data: inputValues({ name: 'context', shape: contextShape }),
    shape: contextShape,
  }
  const predict = async (path: string, strength?: number): Promise<Float32Array> => {
    const loras = strength === undefined ? [] : [{ path: lora, strength }]
    const denoiser = await models.denoiser({ kind: 'MODEL', path, loras })
    return (await denoiser.predict(x, [321.25], context)).data
  }
  const { path } = checkpoint.file
  const merged = await checkpointOf(folder, [{ ...made, strength: 0.7 }])
  t.ok(relativeError(await predict(path, 0.7), await predict(merged.file.path)) < 1e-4)
  t.ok(relativeError(await predict(path, 0), await predict(path)) < 1e-4)
  t.ok(relativeError(await predict(path, 0.7), await predict(path)) > 0.001)
})

t.test('an autoencoder decodes and encodes each picture of a batch', async (t) => {
  const path = writeRuleModel(t.testdir(), whole, { name: 'whole' })
  const autoencoder = await sessionsOf().autoencoder({ kind: 'VAE', path })
  const { downscale } = autoencoder
  const one = { data: new Float32Array(4 * 12).map((_, i) => Math.sin(i)), shape: [1, 4, 3, 4] }
  const two = {
    data: Float32Array.of(...one.data, ...one.data.map((x) => -x)),
    shape: [2, 4, 3, 4],
  }
  const [single, both] = [await autoencoder.decode(one), await autoencoder.decode(two)]
  t.same(both.shape, [2, 3 * downscale, 4 * downscale, 3])
  t.same(both.data.subarray(0, single.data.length), single.data)
  t.notSame(both.data.subarray(single.data.length), single.data)
  const latent = await autoencoder.encode(both)
  t.same(latent.shape, two.shape)
})

t.test('a file that is replaced is another model', async (t) => {
  const folder = t.testdir()
  const path = writeRuleModel(folder, whole, { name: 'whole' })
  const models = sessionsOf()
  const latent = { data: new Float32Array(16).fill(0.5), shape: [1, 4, 2, 2] }
  const decode = async (): Promise<Tensor> =>
    (await models.autoencoder({ kind: 'VAE', path })).decode(latent)
  const before = await decode()
  t.same(await decode(), before)
  const changed = writeRuleModel(folder, whole, { name: 'changed', dtype: 'F8_E4M3' })
  renameSync(changed, path)
  t.notSame(await decode(), before)
})

t.test('files that lack a part, or are not there, say so', async (t) => {
  const folder = t.testdir()
  const path = writeRuleModel(folder, vae!.shapes, { name: 'vae' })
  const models = sessionsOf()
  await t.rejects(models.denoiser({ kind: 'MODEL', path, loras: [] }), {
    code: 'unsupported_model',
    message: /vae\.safetensors holds no diffusion model/,
  })
  await t.rejects(models.textEncoder({ kind: 'CLIP', path, loras: [], lastLayer: -1 }), {
    code: 'unsupported_model',
  })
  const absent = join(folder, 'absent.safetensors')
  await t.rejects(models.autoencoder({ kind: 'VAE', path: absent }), { code: 'not_found' })
  copyFileSync(new URL(import.meta.url), absent)
  await t.rejects(models.autoencoder({ kind: 'VAE', path: absent }), { code: 'malformed_file' })
})

t.test('without a provider there is a reason', async (t) => {
  const failed = { name: 'cuda', ok: false, fusedAttention: false, halfPrecision: false } as const
  const reports = [{ ...failed, reason: 'its self-test crashed' }]
  const refused = async (settings: SessionSettings, message: RegExp) => {
    const models = createModelSessions(settings, reports)
    t.equal(models.provider, undefined)
    const opening = models.denoiser({ kind: 'MODEL', path: 'x', loras: [] })
    await t.rejects(opening, { code: 'node_failed', message })
  }
  await refused({}, /cuda: its self-test crashed.*doctor/)
  await refused({ provider: 'cuda' }, /demands cuda.*crashed.*Leave the setting out/)
})
