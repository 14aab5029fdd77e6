/**
 * DEIS (Zhang and Chen 2022, arXiv:2204.13902), time-based, order 3: Lagrange
 * polynomials through past slopes, integrated in the time of a
 * variance-preserving diffusion.
 */
import { type Term, weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import { lagrange } from './linear-multistep.ts'
import { eulerStep, f32, slope, solver } from './solver.ts'

const MAX_ORDER = 3

/** Points of the numeric integral; its error is part of the published method's pictures. */
const POINTS = 10_000

/** A linear beta schedule between two noise levels (Karras et al. 2022, table 1, VP). */
interface Diffusion {
  readonly betaMin: number
  readonly betaRange: number
}

const diffusion = betweenSigmas(0.002, 80)

/** In float32 step by step: the smaller logarithm keeps only two digits there. */
function betweenSigmas(sigmaMin: number, sigmaMax: number): Diffusion {
  const logVariance = (sigma: number) => f32(Math.log(f32(f32(f32(sigma) * f32(sigma)) + 1)))
  const [low, high] = [logVariance(sigmaMin), logVariance(sigmaMax)]
  const earliest = 1e-3
  const difference = f32(f32(low / f32(earliest)) - high)
  const betaRange = f32(f32(2 * difference) / f32(earliest - 1))
  return { betaRange, betaMin: f32(high - f32(0.5 * betaRange)) }
}

/** The time at which the diffusion has a sigma. */
function timeOf(sigma: number): number {
  const { betaMin, betaRange } = diffusion
  const logVariance = f32(Math.log(f32(f32(sigma * sigma) + 1)))
  const inside = f32(f32(betaMin * betaMin) + f32(f32(2 * betaRange) * logVariance))
  return f32(f32(f32(Math.sqrt(inside)) - betaMin) / betaRange)
}

/** What a slope counts for at a time: -0.5 d(log alpha)/dt / sqrt(alpha (1 - alpha)). */
function integrand(time: number): number {
  const { betaMin, betaRange } = diffusion
  const alpha = Math.exp(-0.5 * time * time * betaRange - time * betaMin)
  return (0.5 * (time * betaRange + betaMin)) / Math.sqrt(alpha * (1 - alpha))
}

/** The weight of each slope, the newest first, in the step to `end`. */
function weightsOf(times: readonly number[], end: number): number[] {
  const start = times[0] as number
  const sums = times.map(() => 0)
  for (let i = 0; i < POINTS; i++) {
    const time = start + ((end - start) * i) / (POINTS - 1)
    const value = integrand(time)
    for (let j = 0; j < sums.length; j++) {
      sums[j] = (sums[j] as number) + value * lagrange(times, j, time)
    }
  }
  return sums.map((sum) => (sum * (end - start)) / POINTS)
}

export const deis = solver(() => {
  const slopes: Tensor[] = []
  const times: number[] = []
  return ({ index, x, denoised, sigma, next }) => {
    slopes.unshift(slope(x, denoised, sigma))
    times.unshift(timeOf(sigma))
    slopes.length = Math.min(slopes.length, MAX_ORDER)
    times.length = slopes.length
    if (next === 0) return denoised
    if (index === 0) return eulerStep(x, denoised, sigma, next)
    const weights = weightsOf(times, timeOf(next))
    return weightedSum([1, x], ...weights.map((w, i): Term => [w, slopes[i] as Tensor]))
  }
})
