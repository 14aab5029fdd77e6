/**
 * Linear multistep methods, which reuse the slopes of earlier steps: LMS in
 * sigma (Adams-Bashforth with uneven steps), iPNDM (Zhang and Chen 2022,
 * arXiv:2204.13902) and its variable-step form.
 */
import { type Term, weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import { type Sampler, slope, solver } from './solver.ts'

/** How many slopes a step uses at most: its own and those of three steps before it. */
const MAX_ORDER = 4

/**
 * Weights of the newest slope and those before it.
 * @param times the sigma of each slope, the newest first.
 * @param next where the step ends.
 */
type Weights = (times: readonly number[], next: number) => number[]

function multistep(weights: Weights): Sampler {
  return solver(() => {
    const slopes: Tensor[] = []
    const times: number[] = []
    return ({ x, denoised, sigma, next }) => {
      if (next === 0) return denoised
      slopes.unshift(slope(x, denoised, sigma))
      times.unshift(sigma)
      slopes.length = Math.min(slopes.length, MAX_ORDER)
      times.length = slopes.length
      const terms = weights(times, next).map((weight, i): Term => [weight, slopes[i] as Tensor])
      return weightedSum([1, x], ...terms)
    }
  })
}

/**
 * Integrals of the Lagrange polynomials through `times` over the step. Two
 * Gauss-Legendre points are exact for the cubics of four slopes.
 */
function lagrangeIntegrals(times: readonly number[], next: number): number[] {
  const start = times[0] as number
  const middle = (start + next) / 2
  const offset = (next - start) / 2 / Math.sqrt(3)
  return times.map((_, j) => {
    const at = (time: number) => lagrange(times, j, time)
    return ((at(middle - offset) + at(middle + offset)) * (next - start)) / 2
  })
}

/** The polynomial that is 1 at times[j] and 0 at the others. */
export function lagrange(times: readonly number[], j: number, time: number): number {
  const own = times[j] as number
  let product = 1
  times.forEach((other, k) => {
    if (k !== j) product *= (time - other) / (own - other)
  })
  return product
}

/** Adams-Bashforth weights for even steps, by order; iPNDM uses them on any steps. */
const evenWeights = [
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
] as const

export const lms = multistep(lagrangeIntegrals)

export const ipndm = multistep((times, next) => {
  const step = next - (times[0] as number)
  return (evenWeights[times.length - 1] as readonly number[]).map((weight) => weight * step)
})

/**
 * Weights for uneven steps as published (zju-pi/diff-sampler, solvers.py, Apache-2.0)
 * and as ComfyUI runs them: the third and fourth order terms are not quite those
 * of the exact method, and pictures depend on that.
 */
export const ipndmV = multistep((times, next) => {
  const [t0, t1, t2, t3] = times as [number, number?, number?, number?]
  const h = next - t0
  const weights = [1, 0, 0, 0]
  const add = (factor: number, differences: readonly number[]) => {
    differences.forEach((difference, i) => {
      weights[i] = (weights[i] as number) + factor * difference
    })
  }
  if (t1 !== undefined) {
    const h1 = t0 - t1
    add(h / h1 / 2, [1, -1])
    if (t2 !== undefined) {
      const h2 = t1 - t2
      const ratio = h1 / h2
      add((1 - (h * h) / (3 * h1 * (h1 + h2))) / 2, [1, -(1 + ratio), ratio])
      if (t3 !== undefined) {
        const h3 = t2 - t3
        const spread = (h1 * (h1 + h2)) / (h2 * (h2 + h3))
        add(fourthOrderFactor(h, h1, h2, h3), [
          1,
          -(1 + ratio + spread),
          ratio + spread * (1 + h2 / h3),
          -spread * ratio,
        ])
      }
    }
  }
  return weights.slice(0, times.length).map((weight) => weight * h)
})

function fourthOrderFactor(h: number, h1: number, h2: number, h3: number): number {
  const [ahead, far] = [h + h1, h + h1 + h2]
  const own = (1 - h / (3 * ahead)) / 2 + ((1 - h / (2 * ahead)) * h) / (6 * far)
  return (own * (h * ahead * far)) / (h1 * (h1 + h2) * (h1 + h2 + h3))
}
