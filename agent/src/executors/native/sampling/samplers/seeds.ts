/**
 * SEEDS (Gonzalez et al. 2023, arXiv:2305.14267): stochastic exponential
 * integrators with two or three evaluations a step, and the exponential Heun
 * method as their special case whose second evaluation lies at the step's end.
 */
import { type Term, weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import {
  expm1,
  f32,
  halfLogSnr,
  independentNoiseOf,
  type Run,
  type Sampler,
  sigmaOfHalfLogSnr,
  solver,
} from './solver.ts'

/** (e^h - 1 - h) / h */
const bend = (h: number): number => (Math.expm1(h) - h) / h

/** A step in log-sigma, with the noise that it renews. */
interface Span {
  readonly sigma: number
  readonly step: number
  readonly eta: number
}

/** The sigma at a part of the step. */
const sigmaAt = ({ sigma, step }: Span, part: number): number =>
  sigmaOfHalfLogSnr(f32(halfLogSnr(sigma) + f32(part * step)))

/** The factor of x at a part of the step that ends at `to`. */
const decayTo = ({ sigma, step, eta }: Span, part: number, to: number): number =>
  (to / sigma) * Math.exp(-part * step * eta)

/** The exponent of the integrator at a part of the step. */
const exponentAt = ({ step, eta }: Span, part: number): number => -part * step * (eta + 1)

/**
 * The noise of a step, grown from part to part: what was added before shrinks
 * as the step goes on, and the draw of each part fills it up.
 */
function growingNoise(run: Run, eta: number) {
  const draw = independentNoiseOf(run)
  return (span: Span) => {
    let total: Tensor | undefined
    let reached = 0
    /** Terms that put the noise of everything up to a part of the step onto a latent. */
    return (part: number, from: number, to: number): Term[] => {
      if (eta === 0) return []
      const exponent = (reached - part) * span.step * eta
      const fill = Math.sqrt(-Math.expm1(2 * exponent))
      const fresh = draw(from, to)
      total =
        total === undefined
          ? weightedSum([fill, fresh])
          : weightedSum([Math.exp(exponent), total], [fill, fresh])
      reached = part
      return [[to, total]]
    }
  }
}

/** How both predictions count at the end of a two-stage step. */
type Weights = (exponent: number, part: number) => readonly [first: number, second: number]

/** Weighs by how far the second evaluation lies, ComfyUI's solver type phi_1. */
const byDistance: Weights = (exponent, part) => {
  const share = 1 / (2 * part)
  return [-Math.expm1(exponent) * (1 - share), -Math.expm1(exponent) * share]
}

/** Follows the change between both evaluations exactly, ComfyUI's solver type phi_2. */
const byChange: Weights = (exponent, part) => {
  const second = -bend(exponent) / part
  return [-Math.expm1(exponent) - second, second]
}

function twoStages(part: number, eta: number, weights: Weights): Sampler {
  return solver((run) => {
    const noiseOf = growingNoise(run, eta)
    return async ({ x, denoised, sigma, next }) => {
      if (next === 0) return denoised
      const span = { sigma, eta, step: f32(halfLogSnr(next) - halfLogSnr(sigma)) }
      const noise = noiseOf(span)
      const middle = sigmaAt(span, part)
      const there = weightedSum(
        [decayTo(span, part, middle), x],
        [-expm1(exponentAt(span, part)), denoised],
        ...noise(part, sigma, middle),
      )
      const denoised2 = await run.model.denoise(there, middle)
      const [first, second] = weights(exponentAt(span, 1), part)
      return weightedSum(
        [decayTo(span, 1, next), x],
        [first, denoised],
        [second, denoised2],
        ...noise(1, middle, next),
      )
    }
  })
}

export const seeds2 = twoStages(0.5, 1, byDistance)
export const expHeun2X0 = twoStages(1, 0, byChange)
export const expHeun2X0Sde = twoStages(1, 1, byChange)

export const seeds3 = solver((run) => {
  const [part1, part2, eta] = [1 / 3, 2 / 3, 1]
  const noiseOf = growingNoise(run, eta)
  return async ({ x, denoised, sigma, next }) => {
    if (next === 0) return denoised
    const span = { sigma, eta, step: f32(halfLogSnr(next) - halfLogSnr(sigma)) }
    const noise = noiseOf(span)
    const [sigma1, sigma2] = [sigmaAt(span, part1), sigmaAt(span, part2)]
    const x2 = weightedSum(
      [decayTo(span, part1, sigma1), x],
      [-expm1(exponentAt(span, part1)), denoised],
      ...noise(part1, sigma, sigma1),
    )
    const denoised2 = await run.model.denoise(x2, sigma1)
    const change2 = (part2 / part1) * bend(exponentAt(span, part2))
    const x3 = weightedSum(
      [decayTo(span, part2, sigma2), x],
      [change2 - Math.expm1(exponentAt(span, part2)), denoised],
      [-change2, denoised2],
      ...noise(part2, sigma1, sigma2),
    )
    const denoised3 = await run.model.denoise(x3, sigma2)
    const change3 = bend(exponentAt(span, 1)) / part2
    return weightedSum(
      [decayTo(span, 1, next), x],
      [change3 - Math.expm1(exponentAt(span, 1)), denoised],
      [-change3, denoised3],
      ...noise(1, sigma2, next),
    )
  }
})
