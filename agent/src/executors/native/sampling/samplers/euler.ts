/**
 * Euler steps along the probability flow (Karras et al. 2022, arXiv:2206.00364),
 * their ancestral form (Song et al. 2020, arXiv:2011.13456) and their CFG++ forms
 * (Chung et al. 2024, arXiv:2406.08070).
 */
import { weightedSum } from '../../array/arithmetic.ts'
import {
  ancestralStep,
  eulerStep,
  guidedSolver,
  independentNoiseOf,
  type Sampler,
  solver,
} from './solver.ts'

export const euler = solver(
  () =>
    ({ x, denoised, sigma, next }) =>
      eulerStep(x, denoised, sigma, next),
)

export const eulerAncestral = solver((run) => {
  const noise = independentNoiseOf(run)
  return ({ x, denoised, sigma, next }) => {
    const { down, up } = ancestralStep(sigma, next, 1)
    if (down === 0) return denoised
    return weightedSum([down / sigma, x], [1 - down / sigma, denoised], [up, noise(sigma, next)])
  }
})

/** CFG++: renoises the guided prediction with the noise of the unconditional one. */
function eulerCfgPlusPlus(eta: number): Sampler {
  return guidedSolver((run) => {
    const noise = independentNoiseOf(run)
    return ({ x, denoised, unconditional, sigma, next }) => {
      if (next === 0) return denoised
      const { down, up } = ancestralStep(sigma, next, eta)
      const moved = weightedSum([1, denoised], [down / sigma, x], [-down / sigma, unconditional])
      return eta === 0 ? moved : weightedSum([1, moved], [up, noise(sigma, next)])
    }
  })
}

export const eulerCfgPp = eulerCfgPlusPlus(0)
export const eulerAncestralCfgPp = eulerCfgPlusPlus(1)
