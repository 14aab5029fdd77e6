/**
 * What a model was trained on: the noise level of each of its timesteps, and
 * how its raw output turns into a picture. For Stable Diffusion 1.x.
 */

const f32 = Math.fround

const TIMESTEPS = 1000
const BETA_START = 0.00085
const BETA_END = 0.012

/** Zero-terminal-SNR models end here instead of at infinite noise (ComfyUI's constant). */
const LAST_ZERO_SNR_ALPHA = 4.8973451890853435e-8

/** The noise levels of a discrete model. Sigma is the noise's deviation over the signal's. */
export interface ModelSampling {
  /** Of each timestep, rising. */
  readonly sigmas: Float32Array
  readonly sigmaMin: number
  readonly sigmaMax: number
  /** The whole timestep whose sigma is nearest in the logarithm. */
  timestep(sigma: number): number
  /** The sigma of a timestep that may lie between two whole ones. */
  sigma(timestep: number): number
  /** The sigma at a part of the schedule, 0 (all noise) to 1 (none). */
  percentToSigma(percent: number): number
}

export interface ModelSamplingOptions {
  /** The schedule rescaled so that it starts from pure noise (arXiv:2305.08891). */
  readonly zeroTerminalSnr?: boolean
}

/** The schedule of Stable Diffusion 1.x: betas whose square roots rise linearly. */
export function discreteSampling({
  zeroTerminalSnr = false,
}: ModelSamplingOptions = {}): ModelSampling {
  const made = schedules.get(zeroTerminalSnr) ?? makeSampling(zeroTerminalSnr)
  schedules.set(zeroTerminalSnr, made)
  return made
}

/** The two that there are: every run begins with one of them. */
const schedules = new Map<boolean, ModelSampling>()

function makeSampling(zeroTerminalSnr: boolean): ModelSampling {
  const exact = trainedSigmas()
  if (zeroTerminalSnr) rescaleToZeroSnr(exact)
  const sigmas = Float32Array.from(exact)
  const logarithms = Float32Array.from(exact, Math.log)
  const sigmaMin = sigmas[0] as number
  const sigmaMax = sigmas[TIMESTEPS - 1] as number
  const sigma = (timestep: number) => interpolate(logarithms, timestep)
  return {
    sigmas,
    sigmaMin,
    sigmaMax,
    sigma,
    timestep: (of) => nearest(logarithms, f32(Math.log(of))),
    percentToSigma(percent) {
      // ComfyUI's stand-in for infinity: every schedule starts below it.
      if (percent <= 0) return 999999999.9
      if (percent >= 1) return 0
      return sigma(f32((1 - percent) * 999))
    },
  }
}

function trainedSigmas(): Float64Array {
  const sigmas = new Float64Array(TIMESTEPS)
  const [first, last] = [Math.sqrt(BETA_START), Math.sqrt(BETA_END)]
  let signal = 1
  for (let t = 0; t < TIMESTEPS; t++) {
    const root = first + ((last - first) * t) / (TIMESTEPS - 1)
    signal *= 1 - root * root
    sigmas[t] = Math.sqrt((1 - signal) / signal)
  }
  return sigmas
}

function rescaleToZeroSnr(sigmas: Float64Array): void {
  const roots = sigmas.map((sigma) => Math.sqrt(1 / (sigma * sigma + 1)))
  const [first, last] = [roots[0] as number, roots[TIMESTEPS - 1] as number]
  for (let t = 0; t < TIMESTEPS; t++) {
    const root = ((roots[t] as number) - last) * (first / (first - last))
    const signal = t === TIMESTEPS - 1 ? LAST_ZERO_SNR_ALPHA : root * root
    sigmas[t] = Math.sqrt((1 - signal) / signal)
  }
}

function nearest(logarithms: Float32Array, wanted: number): number {
  let best = 0
  let least = Number.POSITIVE_INFINITY
  for (let t = 0; t < logarithms.length; t++) {
    const distance = Math.abs(wanted - (logarithms[t] as number))
    if (distance < least) {
      least = distance
      best = t
    }
  }
  return best
}

function interpolate(logarithms: Float32Array, timestep: number): number {
  const t = Math.min(Math.max(f32(timestep), 0), TIMESTEPS - 1)
  const [low, high] = [Math.floor(t), Math.ceil(t)]
  const share = f32(t - low)
  const below = f32(f32(1 - share) * (logarithms[low] as number))
  const above = f32(share * (logarithms[high] as number))
  return f32(Math.exp(f32(below + above)))
}

/** What the network predicts: the noise, or a mixture of noise and picture (arXiv:2202.00512). */
export type Prediction = 'epsilon' | 'v'

/** The factor that scales a noisy latent to the variance that the network expects. */
export function inputScale(sigma: number): number {
  return 1 / f32(Math.sqrt(f32(f32(sigma * sigma) + 1)))
}

/**
 * The factors of latent and raw output in the clean latent that they imply:
 * clean = latentFactor x latent + outputFactor x output.
 */
export function denoisedFactors(
  prediction: Prediction,
  sigma: number,
): { latentFactor: number; outputFactor: number } {
  if (prediction === 'epsilon') return { latentFactor: 1, outputFactor: -sigma }
  const variance = f32(f32(sigma * sigma) + 1)
  return { latentFactor: 1 / variance, outputFactor: -sigma / f32(Math.sqrt(variance)) }
}

/**
 * The factor of unit noise at the start of a schedule. A schedule that begins
 * at the model's last sigma (or above) begins from what the model takes for pure noise.
 */
export function startingNoiseScale(sampling: ModelSampling, sigma: number): number {
  const closeness = 1e-5 * Math.max(sampling.sigmaMax, sigma)
  const isLast = Math.abs(sampling.sigmaMax - sigma) <= closeness
  return isLast || sigma > sampling.sigmaMax ? f32(Math.sqrt(f32(1 + f32(sigma * sigma)))) : sigma
}
