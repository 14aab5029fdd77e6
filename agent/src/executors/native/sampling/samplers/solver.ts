/**
 * What all samplers share: the model they question, the shape of a run, and the
 * arithmetic of noise levels. Scalars are rounded to float32 where ComfyUI holds
 * them in float32 tensors, because differences of them lose digits.
 */
import { weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import { brownianNoise } from '../brownian.ts'
import type { Seed } from '../generator.ts'
import type { ModelSampling } from '../model-sampling.ts'
import { independentNoise, type NoiseSampler } from '../noise.ts'

export const f32 = Math.fround

/** A guided prediction and its unguided part. */
export interface Guided {
  readonly denoised: Tensor
  readonly unconditional: Tensor
}

/** The model as a sampler sees it: what clean latent does it see behind the noise? */
export interface SamplerModel {
  readonly sampling: ModelSampling
  denoise(x: Tensor, sigma: number): Promise<Tensor>
  /** The same with the unconditional prediction beside it, which is then always evaluated. */
  denoiseApart(x: Tensor, sigma: number): Promise<Guided>
}

export interface SamplerOptions {
  readonly seed: Seed
  /**
   * Called once a step, counted from 1, with what the model now sees.
   * What it throws ends the run.
   */
  progress(step: number, denoised: Tensor): Promise<void>
}

/**
 * Takes a noisy latent from the first sigma to the last.
 * @param x the latent with noise of the first sigma on it.
 * @param sigmas falling, usually to 0.
 */
export type Sampler = (
  model: SamplerModel,
  x: Tensor,
  sigmas: Float32Array,
  options: SamplerOptions,
) => Promise<Tensor>

/** What a solver may use from its first to its last step. */
export interface Run {
  readonly model: SamplerModel
  readonly sigmas: Float32Array
  readonly shape: readonly number[]
  readonly seed: Seed
}

/** One step from `sigma` to `next`; `denoised` is the model's answer at its start. */
export interface Step {
  /** From 0. */
  readonly index: number
  readonly sigma: number
  readonly next: number
  readonly x: Tensor
  readonly denoised: Tensor
}

export interface GuidedStep extends Step, Guided {}

type Advance<S extends Step> = (step: S) => Tensor | Promise<Tensor>

/**
 * A sampler whose every step begins with one evaluation of the model.
 * @param begin called once a run; what it returns computes the latent at the end
 *   of a step and may keep what it needs of earlier ones.
 */
export function solver(begin: (run: Run) => Advance<Step>): Sampler {
  return stepping(begin, async (model, x, sigma) => ({ denoised: await model.denoise(x, sigma) }))
}

/** A solver that also wants the unconditional prediction (CFG++). */
export function guidedSolver(begin: (run: Run) => Advance<GuidedStep>): Sampler {
  return stepping(begin, (model, x, sigma) => model.denoiseApart(x, sigma))
}

function stepping<Answer extends { readonly denoised: Tensor }>(
  begin: (run: Run) => Advance<Step & Answer>,
  evaluate: (model: SamplerModel, x: Tensor, sigma: number) => Promise<Answer>,
): Sampler {
  return async (model, start, sigmas, { seed, progress }) => {
    const advance = begin({ model, sigmas, shape: start.shape, seed })
    let x = start
    for (let index = 0; index + 1 < sigmas.length; index++) {
      const [sigma, next] = [sigmas[index] as number, sigmas[index + 1] as number]
      const answer = await evaluate(model, x, sigma)
      await progress(index + 1, answer.denoised)
      x = await advance({ index, sigma, next, x, ...answer })
    }
    return x
  }
}

/** The derivative dx/dsigma of the probability flow (Karras et al. 2022, equation 1). */
export function slope(x: Tensor, denoised: Tensor, sigma: number): Tensor {
  return weightedSum([1 / sigma, x], [-1 / sigma, denoised])
}

/** Along the straight line through x and the clean latent to another noise level. */
export function eulerStep(x: Tensor, denoised: Tensor, sigma: number, next: number): Tensor {
  return weightedSum([next / sigma, x], [1 - next / sigma, denoised])
}

/** A step split into a way down without noise and the noise that brings it up to `to`. */
export interface AncestralStep {
  readonly down: number
  readonly up: number
}

/** The split of an ancestral step (Karras et al. 2022; eta 0 adds no noise, 1 all). */
export function ancestralStep(from: number, to: number, eta: number): AncestralStep {
  if (eta === 0) return { down: to, up: 0 }
  const fromSquare = f32(from * from)
  const toSquare = f32(to * to)
  const variance = f32(f32(toSquare * f32(fromSquare - toSquare)) / fromSquare)
  const up = Math.min(to, f32(eta * f32(Math.sqrt(variance))))
  return { down: f32(Math.sqrt(f32(toSquare - f32(up * up)))), up }
}

/** Half the logarithm of the signal-to-noise ratio: the time of exponential integrators. */
export const halfLogSnr = (sigma: number): number => f32(-f32(Math.log(sigma)))

export const sigmaOfHalfLogSnr = (lambda: number): number => f32(Math.exp(-lambda))

export const expm1 = (value: number): number => f32(Math.expm1(value))

/** Fresh noise for every step of a run. */
export const independentNoiseOf = ({ shape, seed }: Run): NoiseSampler =>
  independentNoise(shape, seed)

/** Noise of one Brownian path over a run. */
export function brownianNoiseOf({ shape, seed, sigmas }: Run): NoiseSampler {
  const positive = sigmas.filter((sigma) => sigma > 0)
  return brownianNoise(shape, Math.min(...positive), Math.max(...sigmas), seed)
}
