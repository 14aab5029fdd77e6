/**
 * DPM-Solver with orders 1 to 3 in one step (Lu et al. 2022, arXiv:2206.00927):
 * `fast` with a given number of evaluations, `adaptive` with steps that keep an
 * error bound. Time is minus the logarithm of sigma.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import { type Term, weightedSum } from '../../array/arithmetic.ts'
import type { Tensor } from '../../values.ts'
import {
  expm1,
  f32,
  halfLogSnr,
  type Sampler,
  type SamplerModel,
  sigmaOfHalfLogSnr,
  slope,
} from './solver.ts'

/** The slope (predicted noise) at a time. */
async function noiseAt(model: SamplerModel, x: Tensor, time: number): Promise<Tensor> {
  const sigma = sigmaOfHalfLogSnr(time)
  return slope(x, await model.denoise(x, sigma), sigma)
}

/** A step from `time` by `step`, knowing the noise at its start. */
interface Stage {
  readonly model: SamplerModel
  readonly x: Tensor
  readonly noise: Tensor
  readonly time: number
  readonly step: number
}

/** x moved by part of the step along the noise at its start, plus corrections. */
function moved({ x, noise, time, step }: Stage, part: number, ...corrections: Term[]): Tensor {
  const sigma = sigmaOfHalfLogSnr(f32(time + f32(part * step)))
  return weightedSum([1, x], [-sigma * expm1(part * step), noise], ...corrections)
}

/** The noise at a part of the step, at a point already moved there. */
const noiseThere = ({ model, time, step }: Stage, part: number, there: Tensor): Promise<Tensor> =>
  noiseAt(model, there, f32(time + f32(part * step)))

function secondOrder(stage: Stage, part: number, noiseAtPart: Tensor): Tensor {
  const sigma = sigmaOfHalfLogSnr(f32(stage.time + stage.step))
  const weight = (-sigma / (2 * part)) * expm1(stage.step)
  return moved(stage, 1, [weight, noiseAtPart], [-weight, stage.noise])
}

async function thirdOrder(stage: Stage, noiseAtThird: Tensor): Promise<Tensor> {
  const { time, step, noise } = stage
  const [first, second] = [1 / 3, 2 / 3]
  const bend = (h: number) => f32(expm1(h) / h) - 1
  const sigmaSecond = sigmaOfHalfLogSnr(f32(time + f32(second * step)))
  const weight = -sigmaSecond * (second / first) * bend(second * step)
  const there = moved(stage, second, [weight, noiseAtThird], [-weight, noise])
  const noiseAtSecond = await noiseThere(stage, second, there)
  const last = (-sigmaOfHalfLogSnr(f32(time + step)) / second) * bend(step)
  return moved(stage, 1, [last, noiseAtSecond], [-last, noise])
}

async function advance(stage: Stage, order: number): Promise<Tensor> {
  if (order === 1) return moved(stage, 1)
  const part = order === 2 ? 1 / 2 : 1 / 3
  const noise = await noiseThere(stage, part, moved(stage, part))
  return order === 2 ? secondOrder(stage, part, noise) : thirdOrder(stage, noise)
}

/** The times of a run's first sigma and of its last above 0. */
function timeSpan(sigmas: Float32Array): [start: number, end: number] {
  const last = sigmas.at(-1) === 0 ? sigmas.at(-2) : sigmas.at(-1)
  return [halfLogSnr(sigmas[0] as number), halfLogSnr(last as number)]
}

/** What the model sees at a step's start, from the noise it predicted. */
const denoisedFrom = (x: Tensor, noise: Tensor, time: number): Tensor =>
  weightedSum([1, x], [-sigmaOfHalfLogSnr(time), noise])

/** Steps of order 3 with a lower one at the end, as many evaluations as the schedule has steps. */
function ordersFor(evaluations: number): number[] {
  const steps = Math.floor(evaluations / 3) + 1
  const rest = evaluations % 3
  return rest === 0
    ? [...new Array<number>(steps - 2).fill(3), 2, 1]
    : [...new Array<number>(steps - 1).fill(3), rest]
}

export const dpmFast: Sampler = async (model, start, sigmas, { progress }) => {
  if (sigmas.length <= 1) return start
  const [first, last] = timeSpan(sigmas)
  const orders = ordersFor(sigmas.length - 1)
  const timeAt = (i: number) => f32(first + ((last - first) * i) / orders.length)
  let x = start
  for (const [i, order] of orders.entries()) {
    const time = timeAt(i)
    const noise = await noiseAt(model, x, time)
    await progress(i + 1, denoisedFrom(x, noise, time))
    x = await advance({ model, x, noise, time, step: f32(timeAt(i + 1) - time) }, order)
  }
  return x
}

const RELATIVE_TOLERANCE = f32(0.05)
const ABSOLUTE_TOLERANCE = f32(0.0078)
const FIRST_STEP = 0.05
/** A step counts when the controller would not shrink the next one below this part of it. */
const ACCEPTED_SHRINKING = 0.81
/** Time at the end of a run that is not worth a step. */
const TIME_SLACK = 1e-5

/** The root mean square of the difference against what is tolerated. */
function errorOf(low: Tensor, high: Tensor, previous: Tensor): number {
  let sum = 0
  for (let i = 0; i < low.data.length; i++) {
    const value = low.data[i] as number
    const size = Math.max(Math.abs(value), Math.abs(previous.data[i] as number))
    const tolerated = Math.max(ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE * size)
    sum += ((value - (high.data[i] as number)) / tolerated) ** 2
  }
  return Math.sqrt(sum / low.data.length)
}

/** Without it the controller would try the same step for ever. */
function notANumber(time: number): MeshError {
  const sigma = sigmaOfHalfLogSnr(time).toPrecision(3)
  const message = `The model's answer at sigma ${sigma} is not a number. Check the checkpoint, or try it without LoRAs.`
  return new MeshError('node_failed', message)
}

/** Orders 2 and 3 side by side: their difference controls the step (integral control). */
export const dpmAdaptive: Sampler = async (model, start, sigmas, { progress }) => {
  if (sigmas.length <= 1) return start
  const [first, end] = timeSpan(sigmas)
  let [x, previous, time, wanted] = [start, start, first, FIRST_STEP]
  for (let count = 1; time < end - TIME_SLACK; count++) {
    const next = Math.min(end, f32(time + wanted))
    const noise = await noiseAt(model, x, time)
    const denoised = denoisedFrom(x, noise, time)
    const stage = { model, x, noise, time, step: f32(next - time) }
    const noiseAtThird = await noiseThere(stage, 1 / 3, moved(stage, 1 / 3))
    const low = secondOrder(stage, 1 / 3, noiseAtThird)
    const high = await thirdOrder(stage, noiseAtThird)
    const factor = 1 + Math.atan((1 / (errorOf(low, high, previous) + 1e-8)) ** (1 / 3) - 1)
    if (Number.isNaN(factor)) throw notANumber(time)
    wanted *= factor
    if (factor >= ACCEPTED_SHRINKING) {
      previous = low
      x = high
      time = next
    }
    await progress(count, denoised)
  }
  return x
}
