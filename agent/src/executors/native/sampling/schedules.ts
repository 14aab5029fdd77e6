/**
 * The falling noise levels of a run: one row a scheduler, in ComfyUI's order.
 * Each ends in 0 and has about as many steps as asked for; rows say where not.
 */
import { betaQuantile } from './incomplete-beta.ts'
import type { ModelSampling } from './model-sampling.ts'

const f32 = Math.fround

/** Falling sigmas of a number of steps (1 or more), the last one 0. */
type Schedule = (sampling: ModelSampling, steps: number) => Float32Array

/** From `start` to `end` in `count` values, computed as torch.linspace does in float32. */
function linspace(start: number, end: number, count: number): Float32Array {
  const [first, last] = [f32(start), f32(end)]
  const step = count > 1 ? f32(f32(last - first) / (count - 1)) : 0
  return Float32Array.from({ length: count }, (_, i) =>
    i < count / 2 ? first + f32(step * i) : last - f32(step * (count - i - 1)),
  )
}

function endingInZero(sigmas: Iterable<number>): Float32Array {
  return Float32Array.from([...sigmas, 0])
}

/** Every so many of the model's own sigmas. */
const simple: Schedule = ({ sigmas }, steps) => {
  const stride = sigmas.length / steps
  const picked = (_: unknown, i: number) => sigmas.at(-(1 + Math.floor(i * stride))) as number
  return endingInZero(Array.from({ length: steps }, picked))
}

/** Evenly spaced timesteps, the model's first one included. */
const normal: Schedule = (sampling, steps) => {
  const [start, end] = [sampling.timestep(sampling.sigmaMax), sampling.timestep(sampling.sigmaMin)]
  return endingInZero(linspace(start, end, steps).map(sampling.sigma))
}

/** Evenly spaced timesteps as Stability's sgm: the last step ends where the schedule would go on. */
const sgmUniform: Schedule = (sampling, steps) => {
  const [start, end] = [sampling.timestep(sampling.sigmaMax), sampling.timestep(sampling.sigmaMin)]
  return endingInZero(
    linspace(start, end, steps + 1)
      .subarray(0, steps)
      .map(sampling.sigma),
  )
}

/** Equation 5 of Karras et al. 2022 (arXiv:2206.00364), rho = 7. */
const karras: Schedule = ({ sigmaMin, sigmaMax }, steps) => {
  const rho = 7
  const [low, high] = [sigmaMin ** (1 / rho), sigmaMax ** (1 / rho)]
  return endingInZero(
    linspace(0, 1, steps).map((ramp) => f32(f32(high) + f32(ramp * f32(low - high))) ** rho),
  )
}

/** Evenly spaced logarithms. */
const exponential: Schedule = ({ sigmaMin, sigmaMax }, steps) =>
  endingInZero(linspace(Math.log(sigmaMax), Math.log(sigmaMin), steps).map(Math.exp))

/** Every so many timesteps from the second on; up to a stride's rest gives extra steps. */
const ddimUniform: Schedule = ({ sigmas }, steps) => {
  const stride = Math.max(Math.floor(sigmas.length / steps), 1)
  const picked: number[] = []
  for (let i = 1; i < sigmas.length; i += stride) picked.push(sigmas[i] as number)
  return endingInZero(picked.reverse())
}

/** Timesteps at quantiles of the beta distribution (arXiv:2407.12173); equal ones count once. */
const beta: Schedule = ({ sigmas }, steps) => {
  const shape = 0.6
  const last = sigmas.length - 1
  const timesteps = Array.from({ length: steps }, (_, i) =>
    roundHalfEven(betaQuantile(1 - i / steps, shape, shape) * last),
  )
  const distinct = timesteps.filter((t, i) => t !== timesteps[i - 1])
  return endingInZero(distinct.map((t) => sigmas[t] as number))
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value)
  if (value - below === 0.5) return below % 2 === 0 ? below : below + 1
  return Math.round(value)
}

/** Linear over the first 2.5 % of the noise, then quadratic (Genmo's Mochi 1). */
const linearQuadratic: Schedule = ({ sigmaMax }, steps) => {
  if (steps === 1) return Float32Array.of(sigmaMax, 0)
  const threshold = 0.025
  const linear = Math.floor(steps / 2)
  const quadratic = steps - linear
  const excess = linear - threshold * steps
  const square = excess / (linear * quadratic ** 2)
  const slope = threshold / linear - (2 * excess) / quadratic ** 2
  const done = Array.from({ length: steps }, (_, i) =>
    i < linear ? (i * threshold) / linear : square * i ** 2 + slope * i + square * linear ** 2,
  )
  return endingInZero(done.map((part) => f32(1 - part) * sigmaMax))
}

/** Evenly spaced arc tangents ("Align Your Steps", arXiv:2404.14507, theorem 3.1). */
const klOptimal: Schedule = ({ sigmaMin, sigmaMax }, steps) => {
  const [low, high] = [f32(Math.atan(sigmaMin)), f32(Math.atan(sigmaMax))]
  return endingInZero(
    Array.from({ length: steps }, (_, i) => {
      // ComfyUI divides 0 by 0 for a single step; its only sensible sigma is the first.
      const share = steps === 1 ? 0 : f32(i / (steps - 1))
      return Math.tan(f32(f32(share * low) + f32(f32(1 - share) * high)))
    }),
  )
}

/** The schedulers by ComfyUI's names. */
export const schedules = {
  simple,
  sgm_uniform: sgmUniform,
  karras,
  exponential,
  ddim_uniform: ddimUniform,
  beta,
  normal,
  linear_quadratic: linearQuadratic,
  kl_optimal: klOptimal,
} as const satisfies Record<string, Schedule>

export type SchedulerName = keyof typeof schedules

export const schedulerNames = Object.keys(schedules) as SchedulerName[]

export interface SigmaRequest {
  readonly scheduler: SchedulerName
  readonly steps: number
  /** Part of the schedule to run, counted from its end; 0 runs nothing. */
  readonly denoise: number
  /** Leaves the last sigma but one out of a schedule one step longer, for solvers that ask for it. */
  readonly discardPenultimate: boolean
}

/**
 * The sigmas of a run (ComfyUI's KSampler.set_steps): `steps + 1` of them, as
 * many as the scheduler makes of it, or none when `denoise` is 0.
 */
export function sigmasFor(sampling: ModelSampling, request: SigmaRequest): Float32Array {
  const { steps, denoise } = request
  if (denoise <= 0) return new Float32Array()
  if (denoise > 0.9999) return wholeSchedule(sampling, request, steps)
  const whole = wholeSchedule(sampling, request, Math.floor(steps / denoise))
  return whole.slice(-(steps + 1))
}

function wholeSchedule(
  sampling: ModelSampling,
  { scheduler, discardPenultimate }: SigmaRequest,
  steps: number,
): Float32Array {
  if (!discardPenultimate) return schedules[scheduler](sampling, steps)
  const longer = schedules[scheduler](sampling, steps + 1)
  return Float32Array.from([...longer.subarray(0, -2), ...longer.subarray(-1)])
}
