/**
 * The fixed denoiser of goldens/samplers: a formula instead of a network, so that
 * ComfyUI and we sample exactly the same model.
 */
import type { Denoiser } from '../../../../src/executors/native/models.ts'
import {
  discreteSampling,
  type ModelSampling,
} from '../../../../src/executors/native/sampling/model-sampling.ts'
import type {
  Conditioning,
  ConditioningEntry,
  Tensor,
} from '../../../../src/executors/native/values.ts'

/** What the prompt says to the formula: one number. */
export function prompt(k: number, extra: Partial<ConditioningEntry> = {}): Conditioning {
  return [{ tokens: { data: Float32Array.of(k), shape: [1, 1, 1] }, ...extra }]
}

export interface AnalyticModel {
  readonly denoiser: Denoiser
  readonly sampling: ModelSampling
  /** Of every evaluation so far. */
  readonly seen: { readonly sigma: number; readonly batch: number }[]
}

/** The formula behind the contract of a network, which is told timesteps instead of sigmas. */
export function analyticModel(prediction: Denoiser['prediction'] = 'epsilon'): AnalyticModel {
  const levels = discreteSampling()
  const seen: AnalyticModel['seen'] = []
  let sigma = 0
  return {
    seen,
    sampling: {
      ...levels,
      timestep(of) {
        sigma = of
        return levels.timestep(of)
      },
    },
    denoiser: {
      prediction,
      contextWidth: 1,
      latentChannels: 4,
      latentScale: 0.18215,
      latentRgb: { factors: [], bias: [0, 0, 0] },
      async predict(x, timesteps, context) {
        seen.push({ sigma, batch: timesteps.length })
        return rawOutput(x, sigma, context, prediction)
      },
    },
  }
}

function rawOutput(
  x: Tensor,
  sigma: number,
  context: Tensor,
  prediction: Denoiser['prediction'],
): Tensor {
  const [, channels, height, width] = x.shape as [number, number, number, number]
  const growth = Math.sqrt(sigma * sigma + 1)
  const tokens = context.shape[1] as number
  const data = x.data.map((scaled, i) => {
    const column = i % width
    const row = Math.floor(i / width) % height
    const channel = Math.floor(i / (width * height)) % channels
    const entry = Math.floor(i / (width * height * channels))
    const k = context.data[entry * tokens] as number
    const noisy = scaled * growth
    const clean =
      (0.9 * noisy) / (1 + sigma * sigma) +
      (0.3 * Math.tanh(0.3 * noisy) * sigma) / (1 + sigma) +
      0.4 * k * Math.cos(1.3 * channel + 0.7 * row + 0.4 * column)
    if (prediction === 'epsilon') return (noisy - clean) / sigma
    return (noisy / growth ** 2 - clean) * (growth / sigma)
  })
  return { data, shape: x.shape }
}
