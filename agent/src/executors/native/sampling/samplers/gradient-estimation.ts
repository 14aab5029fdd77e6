/** Euler steps whose slope is corrected by its change (Permenter and Yuan 2023, arXiv:2306.04848). */
import { weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import { eulerStep, guidedSolver, slope, solver } from './solver.ts'

/** How far the change of slope is followed beyond the old slope (the paper's gamma, 2, less one). */
const OVERSHOOT = 1

/** Adds the change of slope since the last step, where there was one. */
function corrected(moved: Tensor, own: Tensor, before: Tensor | undefined, step: number): Tensor {
  if (before === undefined) return moved
  return weightedSum([1, moved], [OVERSHOOT * step, own], [-OVERSHOOT * step, before])
}

export const gradientEstimation = solver(() => {
  let last: Tensor | undefined
  return ({ x, denoised, sigma, next }) => {
    const before = last
    last = slope(x, denoised, sigma)
    if (next === 0) return denoised
    return corrected(eulerStep(x, denoised, sigma, next), last, before, next - sigma)
  }
})

/** With CFG++ (arXiv:2406.08070): the slope is that of the unconditional prediction. */
export const gradientEstimationCfgPp = guidedSolver(() => {
  let last: Tensor | undefined
  return ({ x, denoised, unconditional, sigma, next }) => {
    const before = last
    last = slope(x, unconditional, sigma)
    if (next === 0) return denoised
    return corrected(weightedSum([1, denoised], [next, last]), last, before, next - sigma)
  }
})
