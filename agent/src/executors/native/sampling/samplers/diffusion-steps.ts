/**
 * Samplers that renew the noise by the model's own diffusion: DDPM (Ho et al.
 * 2020, arXiv:2006.11239) and latent consistency models (Luo et al. 2023,
 * arXiv:2310.04378).
 */
import { weightedSum } from '../../array/arithmetic.ts'
import { f32, independentNoiseOf, slope, solver } from './solver.ts'

const signalOf = (sigma: number): number => f32(1 / f32(f32(sigma * sigma) + 1))

/** In DDPM's own scale, where signal and noise together keep unit variance. */
export const ddpm = solver((run) => {
  const noise = independentNoiseOf(run)
  return ({ x, denoised, sigma, next }) => {
    if (next === 0) return denoised
    const [signal, signalNext] = [signalOf(sigma), signalOf(next)]
    const alpha = f32(signal / signalNext)
    const shrink = f32(Math.sqrt(f32(1 + f32(sigma * sigma))))
    const grow = f32(Math.sqrt(f32(1 + f32(next * next))))
    const predicted = f32(f32(1 - alpha) / f32(Math.sqrt(f32(1 - signal))))
    const variance = f32(f32(f32(1 - alpha) * f32(1 - signalNext)) / f32(1 - signal))
    const mean = grow * f32(Math.sqrt(f32(1 / alpha)))
    return weightedSum(
      [mean / shrink, x],
      [-mean * predicted, slope(x, denoised, sigma)],
      [grow * f32(Math.sqrt(variance)), noise(sigma, next)],
    )
  }
})

/** Jumps to the clean latent and puts fresh noise on it. */
export const lcm = solver((run) => {
  const noise = independentNoiseOf(run)
  return ({ denoised, sigma, next }) =>
    next === 0 ? denoised : weightedSum([1, denoised], [next, noise(sigma, next)])
})
