/**
 * Heun's method (Karras et al. 2022, algorithm 2) and Heun++ with its weighted
 * slopes of up to three evaluations.
 */
import { weightedSum } from '../../array/arithmetic.ts'
import { eulerStep, slope, solver } from './solver.ts'

export const heun = solver(({ model }) => async ({ x, denoised, sigma, next }) => {
  if (next === 0) return denoised
  const there = eulerStep(x, denoised, sigma, next)
  const slopeThere = slope(there, await model.denoise(there, next), next)
  const half = (next - sigma) / 2
  return weightedSum([1, x], [half, slope(x, denoised, sigma)], [half, slopeThere])
})

/** Weighs each slope by its sigma against the first sigma of the run. */
export const heunPlusPlus2 = solver(({ model, sigmas }) => {
  const first = sigmas[0] as number
  const last = sigmas.at(-1)
  return async ({ index, x, denoised, sigma, next }) => {
    if (next === last) return eulerStep(x, denoised, sigma, next)
    const step = next - sigma
    const afterNext = sigmas[index + 2] as number
    const slope1 = slope(x, denoised, sigma)
    const x2 = eulerStep(x, denoised, sigma, next)
    const denoised2 = await model.denoise(x2, next)
    const slope2 = slope(x2, denoised2, next)
    if (afterNext === last) {
      const share = next / (2 * first)
      return weightedSum([1, x], [step * (1 - share), slope1], [step * share, slope2])
    }
    const x3 = eulerStep(x2, denoised2, next, afterNext)
    const slope3 = slope(x3, await model.denoise(x3, afterNext), afterNext)
    const share2 = next / (3 * first)
    const share3 = afterNext / (3 * first)
    return weightedSum(
      [1, x],
      [step * (1 - share2 - share3), slope1],
      [step * share2, slope2],
      [step * share3, slope3],
    )
  }
})
