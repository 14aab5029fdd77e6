/** Extended reverse-time SDE solver of third order (Cui et al. 2023, arXiv:2309.06169). */
import { weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import { f32, independentNoiseOf, solver } from './solver.ts'

/** Points of the method's numeric integrals. */
const POINTS = 200

/** The paper's noise scale function ER-SDE 5, which decides how much noise is renewed. */
const noiseScale = (sigma: number): number => f32(sigma * (Math.exp(sigma ** 0.3) + 10))

/** The integrals of 1 and (sigma - from) over the noise scale, as sums from `to` up. */
function integrals(from: number, to: number): { constant: number; linear: number } {
  const width = (from - to) / POINTS
  let constant = 0
  let linear = 0
  for (let i = 0; i < POINTS; i++) {
    const at = to + i * width
    constant += width / noiseScale(at)
    linear += ((at - from) * width) / noiseScale(at)
  }
  return { constant, linear }
}

export const erSde = solver((run) => {
  const { sigmas } = run
  const noise = independentNoiseOf(run)
  let last: Tensor | undefined
  let lastSlope: Tensor | undefined
  return ({ index, x, denoised, sigma, next }) => {
    if (next === 0) return denoised
    const ratio = f32(noiseScale(next) / noiseScale(sigma))
    const variance = f32(f32(next * next) - f32(f32(sigma * sigma) * f32(ratio * ratio)))
    const renewed = Math.sqrt(Math.max(0, variance))
    let moved = weightedSum([ratio, x], [1 - ratio, denoised], [renewed, noise(sigma, next)])
    if (last !== undefined) {
      const step = next - sigma
      const { constant, linear } = integrals(sigma, next)
      const since = sigma - (sigmas[index - 1] as number)
      const own = weightedSum([1 / since, denoised], [-1 / since, last])
      moved = weightedSum([1, moved], [step + constant * noiseScale(next), own])
      if (lastSlope !== undefined) {
        const span = (sigma - (sigmas[index - 2] as number)) / 2
        const weight = ((step * step) / 2 + linear * noiseScale(next)) / span
        moved = weightedSum([1, moved], [weight, own], [-weight, lastSlope])
      }
      lastSlope = own
    }
    last = denoised
    return moved
  }
})
