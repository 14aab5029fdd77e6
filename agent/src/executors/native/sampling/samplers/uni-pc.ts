/**
 * UniPC (Zhao et al. 2023, arXiv:2302.04867): a multistep predictor whose every
 * step is corrected by the evaluation that the next step needs anyway. Works on
 * latents of unit variance; order 3, the variants B1 and B2 of its step function.
 */
import { scale, type Term, weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import { solveLinearSystem } from './linear-system.ts'
import { expm1, f32, type Sampler, type SamplerModel } from './solver.ts'

const MAX_ORDER = 3

/** The method needs a last sigma above 0; this is ComfyUI's. */
const LAST_SIGMA = f32(0.001)

/** Signal, noise and half the logarithm of their ratio squared, at unit variance. */
interface Level {
  readonly sigma: number
  readonly signal: number
  readonly noise: number
  readonly lambda: number
}

/** In float32 step by step: near sigma 0 the noise is a small difference of ones. */
function levelOf(sigma: number): Level {
  const logSignal = f32(0.5 * f32(Math.log(f32(1 / f32(f32(sigma * sigma) + 1)))))
  const variance = f32(1 - f32(Math.exp(f32(2 * logSignal))))
  return {
    sigma,
    signal: f32(Math.exp(logSignal)),
    noise: f32(Math.sqrt(variance)),
    lambda: f32(logSignal - f32(0.5 * f32(Math.log(variance)))),
  }
}

interface Evaluation {
  readonly level: Level
  readonly denoised: Tensor
}

/** The weights of a step: `predictor` for past differences, `corrector` with the new one last. */
interface Weights {
  /** e^-h - 1 for the step h in lambda. */
  readonly gain: number
  readonly scale: number
  readonly predictor: readonly number[]
  readonly corrector: readonly number[]
}

type Variant = 'bh1' | 'bh2'

/** @param ratios where past evaluations lie, in steps from the newest one. */
function weightsFor(step: number, ratios: readonly number[], variant: Variant): Weights {
  const gain = expm1(-step)
  const scaleOf = variant === 'bh1' ? -step : gain
  const nodes = [...ratios, 1]
  const rows: number[][] = []
  const right: number[] = []
  let phi = f32(f32(gain / -step) - 1)
  let factorial = 1
  for (let i = 1; i <= nodes.length; i++) {
    rows.push(nodes.map((node) => node ** (i - 1)))
    right.push(f32(f32(phi * factorial) / scaleOf))
    factorial *= i + 1
    phi = f32(f32(phi / -step) - f32(1 / factorial))
  }
  const past = ratios.length
  return {
    gain,
    scale: scaleOf,
    predictor:
      past === 1
        ? [0.5]
        : solveLinearSystem(
            rows.slice(0, past).map((row) => row.slice(0, past)),
            right.slice(0, past),
          ),
    corrector: past === 0 ? [0.5] : solveLinearSystem(rows, right),
  }
}

/** The state at a level, predicted from the newest `order` evaluations, and how to correct it. */
function predict(
  x: Tensor,
  past: readonly Evaluation[],
  level: Level,
  order: number,
  variant: Variant,
): { predicted: Tensor; correct(found: Tensor): Tensor } {
  const newest = past.at(-1) as Evaluation
  const step = f32(level.lambda - newest.level.lambda)
  const older = past.slice(-order, -1).reverse()
  const ratios = older.map((e) => f32(f32(e.level.lambda - newest.level.lambda) / step))
  const weights = weightsFor(step, ratios, variant)
  const base = weightedSum(
    [level.noise / newest.level.noise, x],
    [-level.signal * weights.gain, newest.denoised],
  )
  const reach = -level.signal * weights.scale
  /** Terms of weighted differences from the newest evaluation. */
  const differences = (factors: readonly number[]): Term[] =>
    older.flatMap(({ denoised }, i): Term[] => {
      const factor = (reach * (factors[i] as number)) / (ratios[i] as number)
      return [
        [factor, denoised],
        [-factor, newest.denoised],
      ]
    })
  return {
    predicted: weightedSum([1, base], ...differences(weights.predictor)),
    correct(found) {
      const own = reach * (weights.corrector.at(-1) as number)
      const terms = differences(weights.corrector)
      return weightedSum([1, base], [own, found], [-own, newest.denoised], ...terms)
    },
  }
}

/** What the model sees in a latent of unit variance. */
function denoiseAt(model: SamplerModel, x: Tensor, { sigma }: Level): Promise<Tensor> {
  return model.denoise(scale(x, f32(Math.sqrt(f32(f32(sigma * sigma) + 1)))), sigma)
}

function uniPcOf(variant: Variant): Sampler {
  return async (model, start, sigmas, { progress }) => {
    const levels = Array.from(sigmas, (sigma) => levelOf(sigma === 0 ? LAST_SIGMA : sigma))
    const steps = levels.length - 1
    const order = Math.min(MAX_ORDER, steps - 1)
    const [first, last] = [levels[0] as Level, levels[steps] as Level]
    let x = scale(start, 1 / f32(Math.sqrt(f32(1 + f32(first.sigma * first.sigma)))))
    const past = [{ level: first, denoised: await denoiseAt(model, x, first) }]
    await progress(1, (past[0] as Evaluation).denoised)
    for (let i = 1; i < steps; i++) {
      const level = levels[i] as Level
      const { predicted, correct } = predict(
        x,
        past,
        level,
        Math.min(order, i, steps + 1 - i),
        variant,
      )
      const denoised = await denoiseAt(model, predicted, level)
      x = correct(denoised)
      past.push({ level, denoised })
      if (past.length > MAX_ORDER) past.shift()
      await progress(i + 1, denoised)
    }
    // With one step only there is nothing to predict from; like ComfyUI it leaves the noise.
    if (steps > 1) x = predict(x, past, last, 1, variant).predicted
    return scale(x, 1 / last.signal)
  }
}

export const uniPc = uniPcOf('bh1')
export const uniPcBh2 = uniPcOf('bh2')
