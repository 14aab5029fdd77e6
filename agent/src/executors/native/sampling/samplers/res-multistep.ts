/** RES, the refined exponential solver's second-order multistep (arXiv:2308.02157). */
import { weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import {
  ancestralStep,
  eulerStep,
  f32,
  type GuidedStep,
  guidedSolver,
  halfLogSnr,
  independentNoiseOf,
  type Run,
  type Sampler,
  type Step,
  solver,
} from './solver.ts'

/** A step as the method takes it: from where, and toward which prediction. */
interface Source {
  readonly x: Tensor
  readonly toward: Tensor
  /** The step where there is no earlier one, to a sigma. */
  firstOrder(down: number): Tensor
}

interface Past {
  readonly toward: Tensor
  readonly sigma: number
  readonly down: number
}

/** Weights of this step's prediction and the last one's, for a step in log-sigma. */
function weightsOf(sigma: number, down: number, past: Past): [own: number, before: number] {
  const step = f32(halfLogSnr(down) - halfLogSnr(sigma))
  const node = (halfLogSnr(past.sigma) - halfLogSnr(past.down)) / step
  const phi1 = Math.expm1(-step) / -step
  const phi2 = (phi1 - 1) / -step
  return [step * (phi1 - phi2 / node), step * (phi2 / node)]
}

function advanceBy<S extends Step>(eta: number, sourceOf: (step: S) => Source) {
  return (run: Run) => {
    const noise = independentNoiseOf(run)
    let past: Past | undefined
    return (step: S): Tensor => {
      const { sigma, next } = step
      const { down, up } = ancestralStep(sigma, next, eta)
      const { x, toward, firstOrder } = sourceOf(step)
      const before = past
      past = { toward, sigma, down }
      if (down === 0) return step.denoised
      const fresh = up > 0 ? ([[up, noise(sigma, next)]] as const) : []
      if (before === undefined) return weightedSum([1, firstOrder(down)], ...fresh)
      const [own, earlier] = weightsOf(sigma, down, before)
      return weightedSum([down / sigma, x], [own, toward], [earlier, before.toward], ...fresh)
    }
  }
}

const plain = ({ x, denoised, sigma }: Step): Source => ({
  x,
  toward: denoised,
  firstOrder: (down) => eulerStep(x, denoised, sigma, down),
})

/** CFG++ (arXiv:2406.08070): x is moved by the guidance, the solver follows the unconditional. */
const guided = ({ x, denoised, unconditional, sigma }: GuidedStep): Source => ({
  x: weightedSum([1, x], [1, denoised], [-1, unconditional]),
  toward: unconditional,
  firstOrder: (down) =>
    weightedSum([1, denoised], [down / sigma, x], [-down / sigma, unconditional]),
})

export const resMultistep: Sampler = solver(advanceBy(0, plain))
export const resMultistepAncestral: Sampler = solver(advanceBy(1, plain))
export const resMultistepCfgPp: Sampler = guidedSolver(advanceBy(0, guided))
export const resMultistepAncestralCfgPp: Sampler = guidedSolver(advanceBy(1, guided))
