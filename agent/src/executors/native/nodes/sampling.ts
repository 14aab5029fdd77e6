/** The sampler nodes. What sampling is stands in ../sampling; here are only their inputs. */
import { encodePreview } from '../image/preview.ts'
import { defineNode, type NodeContext } from '../node.ts'
import { type SamplingRequest, sampleLatent } from '../sampling/ksampler.ts'
import { latentToRgb } from '../sampling/preview.ts'
import { samplerNames } from '../sampling/samplers/index.ts'
import { schedulerNames } from '../sampling/schedules.ts'
import type { Latent, ModelHandle } from '../values.ts'

const seed = [
  'INT',
  { default: 0, min: 0, max: 2n ** 64n - 1n, control_after_generate: true },
] as const
const steps = ['INT', { default: 20, min: 1, max: 10000 }] as const
const cfg = ['FLOAT', { default: 8, min: 0, max: 100, step: 0.1, round: 0.01 }] as const

/** Runs a request with progress and previews. */
async function run(
  model: ModelHandle,
  request: Omit<SamplingRequest, 'denoiser' | 'progress'>,
  context: NodeContext,
): Promise<Latent> {
  const denoiser = await context.models.denoiser(model)
  return sampleLatent({
    ...request,
    denoiser,
    progress: (step, total, denoised) =>
      context.progress(step, total, () => encodePreview(latentToRgb(denoised, denoiser.latentRgb))),
  })
}

export const samplingNodes = [
  defineNode({
    name: 'KSampler',
    displayName: 'KSampler',
    category: 'model/sampling',
    inputs: () => ({
      required: {
        model: ['MODEL', {}],
        seed,
        steps,
        cfg,
        sampler_name: [samplerNames, {}],
        scheduler: [schedulerNames, {}],
        positive: ['CONDITIONING', {}],
        negative: ['CONDITIONING', {}],
        latent_image: ['LATENT', {}],
        denoise: ['FLOAT', { default: 1, min: 0, max: 1, step: 0.01 }],
      },
    }),
    outputs: ['LATENT'],
    run: async (inputs, context) => {
      const request = {
        seed: inputs.seed,
        steps: inputs.steps,
        cfg: inputs.cfg,
        sampler: inputs.sampler_name,
        scheduler: inputs.scheduler,
        positive: inputs.positive,
        negative: inputs.negative,
        latent: inputs.latent_image,
        denoise: inputs.denoise,
      }
      return [await run(inputs.model, request, context)]
    },
  }),

  defineNode({
    name: 'KSamplerAdvanced',
    displayName: 'KSampler (Advanced)',
    category: 'model/sampling',
    inputs: () => ({
      required: {
        model: ['MODEL'],
        add_noise: [['enable', 'disable'], { advanced: true }],
        noise_seed: seed,
        steps,
        cfg,
        sampler_name: [samplerNames],
        scheduler: [schedulerNames],
        positive: ['CONDITIONING'],
        negative: ['CONDITIONING'],
        latent_image: ['LATENT'],
        start_at_step: ['INT', { default: 0, min: 0, max: 10000, advanced: true }],
        end_at_step: ['INT', { default: 10000, min: 0, max: 10000, advanced: true }],
        return_with_leftover_noise: [['disable', 'enable'], { advanced: true }],
      },
    }),
    outputs: ['LATENT'],
    run: async (inputs, context) => {
      const request = {
        seed: inputs.noise_seed,
        steps: inputs.steps,
        cfg: inputs.cfg,
        sampler: inputs.sampler_name,
        scheduler: inputs.scheduler,
        positive: inputs.positive,
        negative: inputs.negative,
        latent: inputs.latent_image,
        addNoise: inputs.add_noise === 'enable',
        startStep: inputs.start_at_step,
        endStep: inputs.end_at_step,
        removeLeftoverNoise: inputs.return_with_leftover_noise === 'disable',
      }
      return [await run(inputs.model, request, context)]
    },
  }),
]
