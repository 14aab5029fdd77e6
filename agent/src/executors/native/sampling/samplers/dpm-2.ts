/** Midpoint steps in the logarithm of sigma, after DPM-Solver-2 (arXiv:2206.00927). */
import { weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import {
  ancestralStep,
  eulerStep,
  f32,
  independentNoiseOf,
  type SamplerModel,
  type Step,
  slope,
  solver,
} from './solver.ts'

/** To `end` by the slope at the geometric mean of both sigmas. */
async function midpointStep(
  model: SamplerModel,
  { x, denoised, sigma }: Step,
  end: number,
): Promise<Tensor> {
  const [from, to] = [f32(Math.log(sigma)), f32(Math.log(end))]
  const middle = f32(Math.exp(f32(from + f32(0.5 * f32(to - from)))))
  const there = eulerStep(x, denoised, sigma, middle)
  const slopeThere = slope(there, await model.denoise(there, middle), middle)
  return weightedSum([1, x], [end - sigma, slopeThere])
}

export const dpm2 = solver(({ model }) => async (step) => {
  if (step.next === 0) return step.denoised
  return midpointStep(model, step, step.next)
})

export const dpm2Ancestral = solver((run) => {
  const noise = independentNoiseOf(run)
  return async (step) => {
    const { down, up } = ancestralStep(step.sigma, step.next, 1)
    if (down === 0) return step.denoised
    const moved = await midpointStep(run.model, step, down)
    return weightedSum([1, moved], [up, noise(step.sigma, step.next)])
  }
})
