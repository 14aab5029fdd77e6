/**
 * Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598) over any
 * number of conditioning entries: one evaluation of the network for all entries
 * of equal size, their answers blended by weight, both sides combined.
 */
import { weightedSum } from '../array/arithmetic.ts'
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
  const denoiseApart = async (x: Tensor, sigma: number): Promise<Guided> => {
    const [guided, unconditional] = await evaluate(x, sigma, [positive, negative])
    return {
      denoised: weightedSum([scale, guided as Tensor], [1 - scale, unconditional as Tensor]),
      unconditional: unconditional as Tensor,
    }
  }
  return {
    denoiseApart,
    async denoise(x, sigma) {
      if (!isUnguided) return (await denoiseApart(x, sigma)).denoised
      const [guided] = await evaluate(x, sigma, [positive])
      return guided as Tensor
    },
  }
}

/** What the network makes of each list of entries, as clean latents. */
type EntryEvaluator = (
  x: Tensor,
  sigma: number,
  lists: readonly (readonly PreparedEntry[])[],
) => Promise<Tensor[]>

function entryEvaluator(denoiser: Denoiser, sampling: ModelSampling): EntryEvaluator {
  const contextOf = contextCache()
  return async (x, sigma, lists) => {
    const active = lists.map((list) =>
      list.filter(({ startSigma, endSigma }) => sigma <= startSigma && sigma >= endSigma),
    )
    const answers = new Map<PreparedEntry, Tensor>()
    for (const group of groupsOf(active.flat())) {
      const [batch = 1] = x.shape
      const input = networkInput(x, group, inputScale(sigma))
      const timesteps = new Array<number>(batch * group.length).fill(sampling.timestep(sigma))
      const output = await denoiser.predict(input, timesteps, contextOf(group, batch))
      const factors = denoisedFactors(denoiser.prediction, sigma)
      group.forEach((entry, i) => {
        answers.set(entry, cleanLatent(x, output, i, entry.region, factors))
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

/** The regions of x one after the other, scaled to what the network expects. */
function networkInput(x: Tensor, group: readonly PreparedEntry[], scale: number): Tensor {
  const { height, width } = (group[0] as PreparedEntry).region
  const [batch, channels] = x.shape as [number, number]
  const size = batch * channels * height * width
  const data = new Float32Array(group.length * size)
  group.forEach(({ region }, i) => {
    const same = group.findIndex((other) => isSame(other.region, region))
    if (same < i) data.copyWithin(i * size, same * size, (same + 1) * size)
    else {
      forEachRun(x.shape, region, (to, from, length) => {
        const start = i * size + to
        for (let k = 0; k < length; k++) data[start + k] = scale * (x.data[from + k] as number)
      })
    }
  })
  return { data, shape: [group.length * batch, channels, height, width] }
}

/**
 * Calls back for every run of a region's cells that lie one after the other in the latent too: its
 * offsets in both, and its length. That is a row; all of the latent is a single run.
 */
function forEachRun(
  shape: readonly number[],
  { top, left, height, width }: Region,
  each: (to: number, from: number, length: number) => void,
): void {
  const [batch, channels, wholeHeight, wholeWidth] = shape as [number, number, number, number]
  if (height === wholeHeight && width === wholeWidth) {
    each(0, 0, sizeOf(shape))
    return
  }
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let y = 0; y < height; y++) {
      const from = (plane * wholeHeight + top + y) * wholeWidth + left
      each((plane * height + y) * width, from, width)
    }
  }
}

/** Of two regions of one size. */
function isSame(a: Region, b: Region): boolean {
  return a.top === b.top && a.left === b.left
}

/** The clean latent that the network's raw output for one entry implies, of its region. */
function cleanLatent(
  x: Tensor,
  output: Tensor,
  position: number,
  region: Region,
  { latentFactor, outputFactor }: { latentFactor: number; outputFactor: number },
): Tensor {
  const { height, width } = region
  const shape = [...x.shape.slice(0, 2), height, width]
  const size = sizeOf(shape)
  const data = new Float32Array(size)
  forEachRun(x.shape, region, (to, from, length) => {
    const start = position * size + to
    for (let k = 0; k < length; k++) {
      const noisy = x.data[from + k] as number
      data[to + k] = latentFactor * noisy + outputFactor * (output.data[start + k] as number)
    }
  })
  return { data, shape }
}

/** The weighted mean of the entries' answers, cell by cell; 0 where none counts. */
function blend(
  x: Tensor,
  entries: readonly PreparedEntry[],
  answers: ReadonlyMap<PreparedEntry, Tensor>,
): Tensor {
  const [only] = entries
  if (only === undefined) return zeros(x.shape)
  if (entries.length === 1 && typeof only.weight === 'number' && only.weight > 0) {
    const answer = answers.get(only) as Tensor
    if (answer.data.length === x.data.length) return answer
  }
  const sum = zeros(x.shape)
  const weights = new Float32Array(sum.data.length).fill(NO_WEIGHT)
  for (const entry of entries) addWeighted(sum, weights, entry, answers.get(entry) as Tensor)
  for (let i = 0; i < weights.length; i++) {
    sum.data[i] = (sum.data[i] as number) / (weights[i] as number)
  }
  return sum
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
  forEachRun(sum.shape, region, (to, from, length) => {
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
