/**
 * Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598) over any
 * number of conditioning entries: one evaluation of the network for all entries
 * of equal size, their answers blended by weight, both sides combined.
 */
import { scaleInto, type Term, weightedSum } from '../array/arithmetic.ts'
import { concat, repeat } from '../array/slicing.ts'
import { sizeOf, zeros } from '../array/tensor.ts'
import type { Denoiser } from '../models.ts'
import type { Tensor } from '../values.ts'
import { denoisedFactors, inputScale, type ModelSampling } from './model-sampling.ts'
import type { PreparedEntry, PreparedGuidance, Region } from './regions.ts'
import type { Guided } from './samplers/solver.ts'

/** Contexts are padded to a common length only up to this factor; ComfyUI's limit. */
const MAX_PADDING = 4

/** Keeps cells that no entry covers at 0 instead of 0 / 0; ComfyUI's constant. */
const NO_WEIGHT = 1e-37

export interface GuidedModel {
  denoise(x: Tensor, sigma: number): Promise<Tensor>
  denoiseApart(x: Tensor, sigma: number): Promise<Guided>
}

/**
 * @param scale how far the answer is moved from the negative to the positive
 *   side and beyond; at 1 the negative side is not evaluated.
 */
export function guidedModel(
  denoiser: Denoiser,
  sampling: ModelSampling,
  { positive, negative }: PreparedGuidance,
  scale: number,
): GuidedModel {
  const evaluate = entryEvaluator(denoiser, sampling)
  const isUnguided = Math.abs(scale - 1) <= 1e-9 * Math.max(scale, 1)
  const bothSides = [positive, negative]
  const guided = ([on, off]: readonly Sum[]): Tensor =>
    total([...times(scale, on as Sum), ...times(1 - scale, off as Sum)])
  return {
    async denoiseApart(x, sigma) {
      const sides = await evaluate(x, sigma, bothSides)
      return { denoised: guided(sides), unconditional: total(sides[1] as Sum) }
    },
    async denoise(x, sigma) {
      if (!isUnguided) return guided(await evaluate(x, sigma, bothSides))
      const [only] = await evaluate(x, sigma, [positive])
      return total(only as Sum)
    },
  }
}

/** A sum that nobody has taken yet: what becomes of a clean latent is mostly a term of another one. */
type Sum = readonly Term[]

function times(factor: number, sum: Sum): Sum {
  return sum.map(([own, tensor]) => [factor * own, tensor])
}

/** Takes a sum, each tensor once however often it occurs. */
function total(sum: Sum): Tensor {
  const factors = new Map<Tensor, number>()
  for (const [factor, tensor] of sum) factors.set(tensor, factor + (factors.get(tensor) ?? 0))
  const [first, ...rest] = Array.from(factors, ([tensor, factor]): Term => [factor, tensor])
  return weightedSum(first as Term, ...rest)
}

/** What the network makes of each list of entries, as clean latents of their own. */
type EntryEvaluator = (
  x: Tensor,
  sigma: number,
  lists: readonly (readonly PreparedEntry[])[],
) => Promise<Sum[]>

function entryEvaluator(denoiser: Denoiser, sampling: ModelSampling): EntryEvaluator {
  const contextOf = contextCache()
  return async (x, sigma, lists) => {
    const active = lists.map((list) =>
      list.filter(({ startSigma, endSigma }) => sigma <= startSigma && sigma >= endSigma),
    )
    const answers = new Map<PreparedEntry, Sum>()
    for (const group of groupsOf(active.flat())) {
      const [batch = 1] = x.shape
      const parts = group.map(({ region }) => partOf(x, region))
      const input = networkInput(parts, inputScale(sigma))
      const timesteps = new Array<number>(batch * group.length).fill(sampling.timestep(sigma))
      const output = await denoiser.predict(input, timesteps, contextOf(group, batch))
      const { latentFactor, outputFactor } = denoisedFactors(denoiser.prediction, sigma)
      group.forEach((entry, i) => {
        const noisy = parts[i] as Tensor
        answers.set(entry, [
          [latentFactor, noisy],
          [outputFactor, answerAt(output, i, noisy)],
        ])
      })
    }
    return active.map((entries) => blend(x, entries, answers))
  }
}

/** Entries that fit into one evaluation: regions of one size, contexts of compatible length. */
function groupsOf(entries: readonly PreparedEntry[]): PreparedEntry[][] {
  const groups: PreparedEntry[][] = []
  for (const entry of entries) {
    const group = groups.find(([first]) => first !== undefined && fitTogether(first, entry))
    if (group === undefined) groups.push([entry])
    else group.push(entry)
  }
  return groups
}

function fitTogether(a: PreparedEntry, b: PreparedEntry): boolean {
  if (a.region.height !== b.region.height || a.region.width !== b.region.width) return false
  const [lengthA, lengthB] = [lengthOf(a), lengthOf(b)]
  return leastCommonMultiple(lengthA, lengthB) / Math.min(lengthA, lengthB) <= MAX_PADDING
}

const lengthOf = ({ tokens }: PreparedEntry): number => tokens.shape[1] as number

function leastCommonMultiple(a: number, b: number): number {
  let [divisor, rest] = [a, b]
  while (rest !== 0) [divisor, rest] = [rest, divisor % rest]
  return (a / divisor) * b
}

/**
 * Joins the contexts of groups, and keeps them: the groups of a run are few and
 * come again every step. Repeating all tokens of a context changes nothing in
 * cross attention, so shorter ones are padded that way.
 */
function contextCache() {
  const kept: { group: readonly PreparedEntry[]; context: Tensor }[] = []
  return (group: readonly PreparedEntry[], batch: number): Tensor => {
    const known = kept.find(
      (one) => one.group.length === group.length && one.group.every((e, i) => e === group[i]),
    )
    if (known !== undefined) return known.context
    const length = group.map(lengthOf).reduce(leastCommonMultiple)
    const contexts = group.map((entry) =>
      repeat(repeat(entry.tokens, 1, length / lengthOf(entry)), 0, batch),
    )
    const context = concat(contexts, 0)
    kept.push({ group, context })
    return context
  }
}

/** The parts of x one after the other, scaled to what the network expects. */
function networkInput(parts: readonly Tensor[], scale: number): Tensor {
  const [batch = 1, ...rest] = (parts[0] as Tensor).shape
  const size = batch * sizeOf(rest)
  const data = new Float32Array(parts.length * size)
  parts.forEach((part, i) => {
    const same = parts.indexOf(part)
    if (same < i) data.copyWithin(i * size, same * size, (same + 1) * size)
    else scaleInto(data.subarray(i * size, (i + 1) * size), scale, part.data)
  })
  return { data, shape: [parts.length * batch, ...rest] }
}

/** A region of x: itself where that is all of it, otherwise a copy. */
function partOf(x: Tensor, region: Region): Tensor {
  if (isWhole(region, x.shape)) return x
  const shape = [...x.shape.slice(0, 2), region.height, region.width]
  const data = new Float32Array(sizeOf(shape))
  forEachRow(x.shape, region, (to, from, length) => {
    data.set(x.data.subarray(from, from + length), to)
  })
  return { data, shape }
}

function isWhole({ height, width }: Region, [, , wholeHeight, wholeWidth]: readonly number[]) {
  return height === wholeHeight && width === wholeWidth
}

/**
 * Calls back for every row of a region, whose cells lie one after the other in the latent too: its
 * offsets in both, and its length.
 */
function forEachRow(
  shape: readonly number[],
  { top, left, height, width }: Region,
  each: (to: number, from: number, length: number) => void,
): void {
  const [batch, channels, wholeHeight, wholeWidth] = shape as [number, number, number, number]
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let y = 0; y < height; y++) {
      const from = (plane * wholeHeight + top + y) * wholeWidth + left
      each((plane * height + y) * width, from, width)
    }
  }
}

/** What the network made of the entry at a position of a group, not copied. */
function answerAt(output: Tensor, position: number, { shape }: Tensor): Tensor {
  const size = sizeOf(shape)
  return { data: output.data.subarray(position * size, (position + 1) * size), shape }
}

/** The weighted mean of the entries' answers, cell by cell; 0 where none counts. */
function blend(
  x: Tensor,
  entries: readonly PreparedEntry[],
  answers: ReadonlyMap<PreparedEntry, Sum>,
): Sum {
  const [only] = entries
  if (only === undefined) return [[1, zeros(x.shape)]]
  const isPlain = entries.length === 1 && typeof only.weight === 'number' && only.weight > 0
  if (isPlain && isWhole(only.region, x.shape)) return answers.get(only) as Sum
  const sum = zeros(x.shape)
  const weights = new Float32Array(sum.data.length).fill(NO_WEIGHT)
  for (const entry of entries) addWeighted(sum, weights, entry, total(answers.get(entry) as Sum))
  for (let i = 0; i < weights.length; i++) {
    sum.data[i] = (sum.data[i] as number) / (weights[i] as number)
  }
  return [[1, sum]]
}

function addWeighted(
  sum: Tensor,
  weights: Float32Array,
  { region, weight }: PreparedEntry,
  answer: Tensor,
): void {
  const { height, width } = region
  const channels = sum.shape[1] as number
  const add = (at: number, value: number, by: number) => {
    sum.data[at] = (sum.data[at] as number) + value * by
    weights[at] = (weights[at] as number) + by
  }
  const planeSize = height * width
  forEachRow(sum.shape, region, (to, from, length) => {
    if (typeof weight === 'number') {
      for (let k = 0; k < length; k++) add(from + k, answer.data[to + k] as number, weight)
      return
    }
    // Weights are [batch or fewer, height, width]; fewer of them serve the batch in turn.
    for (let k = 0; k < length; k++) {
      const entryIndex = Math.floor((to + k) / (channels * planeSize))
      const at = (entryIndex % (weight.shape[0] as number)) * planeSize + ((to + k) % planeSize)
      add(from + k, answer.data[to + k] as number, weight.data[at] as number)
    }
  })
}
