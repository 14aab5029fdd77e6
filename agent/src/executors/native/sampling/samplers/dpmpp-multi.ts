/**
 * DPM-Solver++ with one evaluation a step, reusing those of one or two steps
 * before (Lu et al. 2022, arXiv:2211.01095), and its stochastic forms.
 */
import { weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import {
  brownianNoiseOf,
  expm1,
  f32,
  guidedSolver,
  halfLogSnr,
  type Sampler,
  solver,
} from './solver.ts'

/** A past prediction and the length of the step that began with it. */
interface Past {
  readonly denoised: Tensor
  readonly step: number
}

export const dpmpp2m = solver(() => {
  let last: Past | undefined
  return ({ x, denoised, sigma, next }) => {
    if (next === 0) return denoised
    const step = f32(halfLogSnr(next) - halfLogSnr(sigma))
    const gain = -expm1(-step)
    const before = last
    last = { denoised, step }
    if (before === undefined) return weightedSum([next / sigma, x], [gain, denoised])
    const share = step / (2 * before.step)
    return weightedSum(
      [next / sigma, x],
      [gain * (1 + share), denoised],
      [-gain * share, before.denoised],
    )
  }
})

/** With CFG++ (arXiv:2406.08070): the noise kept is that of the unconditional prediction. */
export const dpmpp2mCfgPp = guidedSolver(() => {
  let last: Past | undefined
  return ({ x, denoised, unconditional, sigma, next }) => {
    if (next === 0) return denoised
    const step = f32(halfLogSnr(next) - halfLogSnr(sigma))
    const decay = f32(Math.exp(-step))
    const before = last
    last = { denoised: unconditional, step }
    const moved = weightedSum([1, denoised], [-decay, unconditional], [decay, x])
    if (before === undefined) return moved
    const bend = (-expm1(-step) * step) / (2 * before.step)
    return weightedSum([1, moved], [bend, denoised], [-bend, before.denoised])
  }
})

/** The part that all stochastic multistep forms share (all noise renewed: eta 1). */
function firstOrder(x: Tensor, denoised: Tensor, sigma: number, next: number) {
  const step = f32(halfLogSnr(next) - halfLogSnr(sigma))
  const twice = f32(2 * step)
  const gain = -expm1(-twice)
  const moved = weightedSum([(next / sigma) * f32(Math.exp(-step)), x], [gain, denoised])
  return { step, twice, gain, moved, noiseScale: next * f32(Math.sqrt(gain)) }
}

/** How the slope between two predictions counts, from the doubled step. */
type Bend = (gain: number, twiceStep: number) => number

function dpmpp2mStochastic(bend: Bend): Sampler {
  return solver((run) => {
    const noise = brownianNoiseOf(run)
    let last: Past | undefined
    return ({ x, denoised, sigma, next }) => {
      if (next === 0) return denoised
      const { step, twice, gain, moved, noiseScale } = firstOrder(x, denoised, sigma, next)
      const before = last
      last = { denoised, step }
      const fresh = noise(sigma, next)
      if (before === undefined) return weightedSum([1, moved], [noiseScale, fresh])
      const weight = bend(gain, twice) * (step / before.step)
      return weightedSum(
        [1, moved],
        [weight, denoised],
        [-weight, before.denoised],
        [noiseScale, fresh],
      )
    }
  })
}

export const dpmpp2mSde = dpmpp2mStochastic((gain) => 0.5 * gain)
export const dpmpp2mSdeHeun = dpmpp2mStochastic((gain, twice) => 1 - gain / twice)

export const dpmpp3mSde = solver((run) => {
  const noise = brownianNoiseOf(run)
  let last: Past | undefined
  let secondLast: Past | undefined
  return ({ x, denoised, sigma, next }) => {
    if (next === 0) return denoised
    const { step, twice, gain, moved, noiseScale } = firstOrder(x, denoised, sigma, next)
    const [before, earlier] = [last, secondLast]
    secondLast = last
    last = { denoised, step }
    const fresh = noise(sigma, next)
    if (before === undefined) return weightedSum([1, moved], [noiseScale, fresh])
    const phi2 = 1 - gain / twice
    const ratio = before.step / step
    const slope = weightedSum([1 / ratio, denoised], [-1 / ratio, before.denoised])
    if (earlier === undefined) {
      return weightedSum([1, moved], [phi2, slope], [noiseScale, fresh])
    }
    const phi3 = phi2 / twice - 0.5
    const ratio2 = earlier.step / step
    const slope2 = weightedSum([1 / ratio2, before.denoised], [-1 / ratio2, earlier.denoised])
    const bend = (phi2 * ratio - phi3) / (ratio + ratio2)
    return weightedSum([1, moved], [phi2 + bend, slope], [-bend, slope2], [noiseScale, fresh])
  }
})
