/** DPM-Solver++ with two evaluations a step (Lu et al. 2022, arXiv:2211.01095). */
import { type Term, weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import {
  ancestralStep,
  brownianNoiseOf,
  expm1,
  f32,
  guidedSolver,
  halfLogSnr,
  independentNoiseOf,
  sigmaOfHalfLogSnr,
  solver,
} from './solver.ts'

/** The time and sigma half-way down an ancestral step. */
function halfway(sigma: number, down: number) {
  const start = halfLogSnr(sigma)
  const step = f32(halfLogSnr(down) - start)
  return { step, middle: sigmaOfHalfLogSnr(f32(start + f32(0.5 * step))) }
}

export const dpmpp2sAncestral = solver((run) => {
  const noise = independentNoiseOf(run)
  return async ({ x, denoised, sigma, next }) => {
    const { down, up } = ancestralStep(sigma, next, 1)
    if (down === 0) return denoised
    const { step, middle } = halfway(sigma, down)
    const there = weightedSum([middle / sigma, x], [-expm1(-step / 2), denoised])
    const denoised2 = await run.model.denoise(there, middle)
    return weightedSum([down / sigma, x], [-expm1(-step), denoised2], [up, noise(sigma, next)])
  }
})

/**
 * With CFG++ (arXiv:2406.08070): x is moved by the guidance before it is scaled
 * down, each time by that of the latest evaluation.
 */
export const dpmpp2sAncestralCfgPp = guidedSolver((run) => {
  const noise = independentNoiseOf(run)
  return async ({ x, denoised, unconditional, sigma, next }) => {
    const { down, up } = ancestralStep(sigma, next, 1)
    if (down === 0) return denoised
    const { step, middle } = halfway(sigma, down)
    const moved = (factor: number, away: Tensor): readonly Term[] => [
      [factor, x],
      [factor, denoised],
      [-factor, away],
    ]
    const there = weightedSum(
      [-expm1(-step / 2), denoised],
      ...moved(middle / sigma, unconditional),
    )
    const second = await run.model.denoiseApart(there, middle)
    return weightedSum(
      [-expm1(-step), second.denoised],
      ...moved(down / sigma, second.unconditional),
      [up, noise(sigma, next)],
    )
  }
})

/** The stochastic form, with noise of a Brownian path at the middle and the end of a step. */
export const dpmppSde = solver((run) => {
  const noise = brownianNoiseOf(run)
  return async ({ x, denoised, sigma, next }) => {
    if (next === 0) return denoised
    const start = halfLogSnr(sigma)
    const step = f32(halfLogSnr(next) - start)
    const middle = sigmaOfHalfLogSnr(f32(start + f32(0.5 * step)))
    const first = ancestralStep(sigma, middle, 1)
    const firstDecay = f32(start - halfLogSnr(first.down))
    const there = weightedSum(
      [f32(Math.exp(firstDecay)), x],
      [-expm1(firstDecay), denoised],
      [first.up, noise(sigma, middle)],
    )
    const denoised2 = await run.model.denoise(there, middle)
    const second = ancestralStep(sigma, next, 1)
    const secondDecay = f32(start - halfLogSnr(second.down))
    return weightedSum(
      [f32(Math.exp(secondDecay)), x],
      [-expm1(secondDecay), denoised2],
      [second.up, noise(sigma, next)],
    )
  }
})
