/**
 * SA-Solver (Xue et al. 2023, arXiv:2309.05019): a stochastic Adams method that
 * predicts the next state, and corrects it once the model has judged it.
 */
import { type Term, weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import { solveLinearSystem } from './linear-system.ts'
import {
  f32,
  halfLogSnr,
  independentNoiseOf,
  type Run,
  type Sampler,
  type Step,
  solver,
} from './solver.ts'

const PREDICTOR_ORDER = 3
const CORRECTOR_ORDER = 4

/** Noise is renewed in this part of the schedule only (0 start, 1 end), as the paper advises. */
const STOCHASTIC_PART = [0.2, 0.8] as const

/**
 * The weights of predictions made at `times` for the step from `start` to
 * `end` (all in half the log signal-to-noise ratio): integrals of the Lagrange
 * polynomials against the exponential of the step (equations 15 and 18).
 */
function adamsWeights(times: readonly number[], start: number, end: number, tau: number): number[] {
  const rate = 1 + tau * tau
  const decay = Math.exp(-rate * (end - start))
  const moments: number[] = []
  times.forEach((_, power) => {
    const edges = end ** power - start ** power * decay
    const below = power === 0 ? 0 : (power / rate) * (moments[power - 1] as number)
    moments.push(edges - below)
  })
  const powers = times.map((_, power) => times.map((time) => time ** power))
  return solveLinearSystem(powers, moments)
}

interface Prediction {
  readonly time: number
  denoised: Tensor
}

/** x carried from one sigma to the next by the newest `order` predictions. */
interface Move {
  readonly x: Tensor
  readonly sigma: number
  readonly next: number
  readonly tau: number
}

function carry({ x, sigma, next, tau }: Move, predictions: readonly Prediction[]): Tensor {
  const [start, end] = [halfLogSnr(sigma), halfLogSnr(next)]
  const times = predictions.map(({ time }) => time)
  const weights = adamsWeights(times, start, end, tau)
  const decay = (next / sigma) * Math.exp(-tau * tau * (end - start))
  const terms = predictions.map(({ denoised }, i): Term => [weights[i] as number, denoised])
  return weightedSum([decay, x], ...terms)
}

/** Fewer predictions count at the start, and again before a schedule that ends in 0. */
function ordersAt({ index, next }: Step, { sigmas }: Run, known: number, again: boolean) {
  const endsInZero = sigmas.at(-1) === 0
  const stepsLeft = endsInZero ? sigmas.length - 2 - index : Number.POSITIVE_INFINITY
  const uncorrected = index === 0 || (next === 0 && !again)
  return {
    predictor: Math.min(PREDICTOR_ORDER, known, stepsLeft),
    corrector: uncorrected ? 0 : Math.min(CORRECTOR_ORDER, known, stepsLeft + 1),
  }
}

/** @param again whether the corrected state is put to the model once more (PECE). */
function adams(again: boolean): Sampler {
  return solver((run) => {
    const { model } = run
    const draw = independentNoiseOf(run)
    const [from, to] = STOCHASTIC_PART.map(model.sampling.percentToSigma) as [number, number]
    const predictions: Prediction[] = []
    let last: { readonly move: Move; readonly noise: Term[] } | undefined
    return async (step) => {
      const { sigma, next } = step
      const newest = { time: halfLogSnr(sigma), denoised: step.denoised }
      predictions.push(newest)
      if (predictions.length > CORRECTOR_ORDER) predictions.shift()
      const orders = ordersAt(step, run, predictions.length, again)
      let x = step.x
      if (last !== undefined && orders.corrector > 0) {
        const corrected = carry(last.move, predictions.slice(-orders.corrector))
        x = weightedSum([1, corrected], ...last.noise)
        if (again) newest.denoised = await model.denoise(x, sigma)
      }
      if (next === 0) return newest.denoised
      const tau = from >= next && next >= to ? 1 : 0
      const move = { x, sigma, next, tau }
      const noise = renewal(move, tau === 0 ? undefined : draw(sigma, next))
      last = { move, noise }
      return weightedSum([1, carry(move, predictions.slice(-orders.predictor))], ...noise)
    }
  })
}

/** The noise that a move puts back. */
function renewal({ sigma, next, tau }: Move, noise: Tensor | undefined): Term[] {
  if (noise === undefined) return []
  const step = halfLogSnr(next) - halfLogSnr(sigma)
  return [[next * f32(Math.sqrt(-Math.expm1(-2 * tau * tau * step))), noise]]
}

export const saSolver = adams(false)
export const saSolverPece = adams(true)
