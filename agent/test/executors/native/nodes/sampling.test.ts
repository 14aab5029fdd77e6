/** The sampler nodes: what their inputs mean, and what they report. */
import t from 'tap'
import type { Picture } from '../../../../src/executors/executor.ts'
import { filled, zeros } from '../../../../src/executors/native/array/tensor.ts'
import type { NodeContext } from '../../../../src/executors/native/node.ts'
import { samplingNodes } from '../../../../src/executors/native/nodes/sampling.ts'
import { sampleLatent } from '../../../../src/executors/native/sampling/ksampler.ts'
import type { Latent } from '../../../../src/executors/native/values.ts'
import { goldenDocument } from '../../../goldens.ts'
import { analyticModel, prompt } from '../sampling/analytic-denoiser.ts'

const { denoiser: formula } = analyticModel()
const denoiser = {
  ...formula,
  latentRgb: {
    factors: [
      [0.1, 0, 0],
      [0, 0.1, 0],
      [0, 0, 0.1],
      [0, 0, 0],
    ],
    bias: [0.5, 0.5, 0.5],
  },
  // Without the sigma of the run the formula works on the network's own input.
  predict: async (x: Latent['samples'], timesteps: readonly number[]) => ({
    shape: x.shape,
    data: x.data.map((value) => value * 0.9 + (timesteps[0] as number) / 1e4),
  }),
}

function context() {
  const steps: string[] = []
  const previews: Picture[] = []
  const made = {
    models: { denoiser: async () => denoiser },
    progress: async (value: number, max: number, preview?: () => Promise<Picture>) => {
      steps.push(`${value}/${max}`)
      if (preview !== undefined && value === 1) previews.push(await preview())
    },
  }
  return { steps, previews, context: made as unknown as NodeContext }
}

const shared = {
  model: { kind: 'MODEL', path: '/model.safetensors', loras: [] },
  steps: 5,
  cfg: 4,
  sampler_name: 'dpmpp_sde',
  scheduler: 'karras',
  positive: prompt(1),
  negative: prompt(-1),
  latent_image: { samples: filled([1, 4, 8, 6], 0.3) },
}

const asked = {
  denoiser,
  steps: 5,
  cfg: 4,
  sampler: 'dpmpp_sde',
  scheduler: 'karras',
  positive: shared.positive,
  negative: shared.negative,
  latent: shared.latent_image,
  progress: async () => {},
} as const

const { _meta } = goldenDocument<{
  _meta: { samplers: string[]; schedulers: string[] }
}>('object_info_core')

function row(name: string) {
  const found = samplingNodes.find((one) => one.name === name)
  if (found === undefined) throw new Error(`No node ${name}`)
  return found
}

t.test('KSampler', async (t) => {
  const { steps, previews, context: own } = context()
  const seed = 2n ** 64n - 3n
  const { outputs } = await row('KSampler').run({ ...shared, seed, denoise: 0.5 }, own)
  t.same(outputs, [await sampleLatent({ ...asked, seed, denoise: 0.5 })])
  t.same(steps, ['1/5', '2/5', '3/5', '4/5', '5/5'])
  t.equal(previews[0]?.mediaType, 'image/jpeg')
})

t.test('KSamplerAdvanced', async (t) => {
  const parts = { start_at_step: 1, end_at_step: 3 }
  for (const [add_noise, return_with_leftover_noise] of [
    ['enable', 'disable'],
    ['disable', 'enable'],
  ]) {
    const { steps, context: own } = context()
    const inputs = { ...shared, ...parts, noise_seed: 7, add_noise, return_with_leftover_noise }
    const { outputs } = await row('KSamplerAdvanced').run(inputs, own)
    const wanted = await sampleLatent({
      ...asked,
      seed: 7,
      startStep: 1,
      endStep: 3,
      addNoise: add_noise === 'enable',
      removeLeftoverNoise: return_with_leftover_noise === 'disable',
    })
    t.same(outputs, [wanted], `noise ${add_noise}d, leftover noise ${return_with_leftover_noise}d`)
    t.same(steps, ['1/2', '2/2'])
  }
})

t.test('both nodes offer all samplers and schedulers of ComfyUI, in its order', async (t) => {
  const lists = { models: () => [], inputFiles: () => [] }
  const [plain, advanced] = ['KSampler', 'KSamplerAdvanced'].map((name) => {
    const { required } = row(name).definition(lists).input
    return [required?.sampler_name?.[0], required?.scheduler?.[0]]
  })
  t.same(plain, advanced)
  t.same(plain, [_meta.samplers, _meta.schedulers])
})

t.test('an all-zero latent stands for no picture', async (t) => {
  const { context: own } = context()
  const empty = { ...shared, latent_image: { samples: zeros([1, 4, 8, 6]) }, seed: 1, denoise: 1 }
  const { outputs } = await row('KSampler').run(empty, own)
  t.ok((outputs[0] as Latent).samples.data.every(Number.isFinite))
})
