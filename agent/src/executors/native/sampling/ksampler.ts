/**
 * A whole sampling run, from a latent to a latent, as ComfyUI's KSampler nodes
 * do it: noise, schedule, guidance, inpainting, sampler and the latent's scale.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import { isAllZero, map, scale, weightedSum } from '../array/arithmetic.ts'
import { repeatTo } from '../array/slicing.ts'
import { zeros } from '../array/tensor.ts'
import type { Denoiser } from '../models.ts'
import type { Conditioning, Latent, Tensor } from '../values.ts'
import type { Seed } from './generator.ts'
import { type GuidedModel, guidedModel } from './guidance.ts'
import { inpaintedModel } from './inpainting.ts'
import { discreteSampling, type ModelSampling, startingNoiseScale } from './model-sampling.ts'
import { normalNoise, startingNoise } from './noise.ts'
import { latentMask, prepareGuidance } from './regions.ts'
import { type SamplerName, type SamplerRow, samplers } from './samplers/index.ts'
import { type SchedulerName, sigmasFor } from './schedules.ts'

export interface SamplingRequest {
  readonly denoiser: Denoiser
  /** The model's noise levels; those that the denoiser was trained on where left out. */
  readonly sampling?: ModelSampling
  readonly seed: Seed
  readonly steps: number
  readonly cfg: number
  readonly sampler: SamplerName
  readonly scheduler: SchedulerName
  readonly positive: Conditioning
  readonly negative: Conditioning
  readonly latent: Latent
  /** Part of the schedule to run, from its end; 1 unless given. */
  readonly denoise?: number
  /** False starts from the latent as it is: it has noise of an earlier run on it. */
  readonly addNoise?: boolean
  /** The first step to run, 0 unless given. */
  readonly startStep?: number
  /** The step before which to stop; the last one unless given. */
  readonly endStep?: number
  /** Ends a run that stops early without noise. */
  readonly removeLeftoverNoise?: boolean
  /**
   * Called once a step, counted from 1, with what the model now sees (scaled as
   * it knows latents). What it throws ends the run.
   */
  progress(step: number, total: number, denoised: Tensor): Promise<void>
}

/**
 * Runs a sampler over a latent.
 * @returns the latent with new samples, everything else on it unchanged.
 * @throws MeshError `node_failed` when latent or conditioning do not fit the model.
 */
export async function sampleLatent(request: SamplingRequest): Promise<Latent> {
  const { denoiser, latent } = request
  const sampling = request.sampling ?? discreteSampling(denoiser)
  const sigmas = sigmasOfRun(request, sampling)
  const samples = fitChannels(latent.samples, denoiser)
  if (sigmas.length < 2) return { ...latent, samples }
  // ComfyUI keeps an all-zero latent out of scaling: it stands for no picture.
  const original = isAllZero(samples) ? samples : scale(samples, denoiser.latentScale)
  const noise =
    request.addNoise === false
      ? zeros(samples.shape)
      : startingNoise(samples.shape, request.seed, latent.batchIndex)
  const row: SamplerRow = samplers[request.sampler]
  const model = modelOf(request, sampling, original, noise)
  const start = startingNoiseScale(sampling, sigmas[0] as number)
  const total = sigmas.length - 1
  const result = await row.run(
    { ...model, sampling },
    weightedSum([start, noise], [1, original]),
    sigmas,
    {
      seed: request.seed,
      // Solvers with steps of their own may take more of them than the schedule has.
      progress: (step, denoised) => request.progress(Math.min(step, total), total, denoised),
    },
  )
  return { ...latent, samples: map(result, (value) => value / denoiser.latentScale) }
}

/** The sigmas of the asked-for part of the schedule; fewer than two where nothing is to run. */
function sigmasOfRun(request: SamplingRequest, sampling: ModelSampling): Float32Array {
  const { scheduler, steps, denoise = 1, startStep = 0, endStep } = request
  const row: SamplerRow = samplers[request.sampler]
  const discardPenultimate = row.discardPenultimate === true
  const whole = sigmasFor(sampling, { scheduler, steps, denoise, discardPenultimate })
  const stopsEarly = endStep !== undefined && endStep < whole.length - 1
  const sigmas = stopsEarly ? whole.slice(0, endStep + 1) : whole
  if (stopsEarly && request.removeLeftoverNoise) sigmas[sigmas.length - 1] = 0
  return sigmas.subarray(Math.min(startStep, sigmas.length))
}

/** @throws MeshError `node_failed` for a latent of another kind of model. */
function fitChannels(samples: Tensor, { latentChannels }: Denoiser): Tensor {
  const [, channels] = samples.shape
  if (channels === latentChannels) return samples
  if (isAllZero(samples)) return repeatTo(samples, 1, latentChannels)
  const message = `The latent has ${channels} channels, the model works on ${latentChannels}. Encode the picture with a VAE of this model.`
  throw new MeshError('node_failed', message)
}

function modelOf(
  request: SamplingRequest,
  sampling: ModelSampling,
  original: Tensor,
  noise: Tensor,
): GuidedModel {
  const { denoiser, positive, negative, latent, cfg, seed } = request
  const { shape } = original
  checkContextWidth(request)
  const guidance = prepareGuidance({ positive, negative }, shape, sampling)
  const guided = guidedModel(denoiser, sampling, guidance, cfg)
  if (latent.noiseMask === undefined) return guided
  const row: SamplerRow = samplers[request.sampler]
  return inpaintedModel(guided, {
    mask: latentMask(latent.noiseMask, shape),
    original,
    noise: row.freshInpaintNoise ? normalNoise(shape, BigInt(seed) + 1n) : noise,
  })
}

/** @throws MeshError `node_failed` for prompts encoded by another kind of model. */
function checkContextWidth({ denoiser, positive, negative }: SamplingRequest): void {
  for (const { tokens } of [...positive, ...negative]) {
    const width = tokens.shape[2]
    if (width === denoiser.contextWidth) continue
    const message = `The prompt was encoded ${width} wide, the model reads ${denoiser.contextWidth}. Encode it with the CLIP of the model's own checkpoint.`
    throw new MeshError('node_failed', message)
  }
}
