/** Cutting batches into parts that can be worked on alone, and joining the parts again. */
import { concat, repeatTo, slice } from '../array/slicing.ts'
import { latentFromBatch } from '../nodes/latent-arrangement.ts'
import type { Latent, Tensor } from '../values.ts'

/** Entries of a batch, counted from 0; `end` is not among them. */
export interface Range {
  readonly start: number
  readonly end: number
}

export interface Part<T> {
  readonly range: Range
  readonly value: T
}

export interface Batch<T> {
  /** How many entries it has. */
  size(value: T): number
  /** Some of its entries; the range lies within the batch. */
  cut(value: T, range: Range): T
  /**
   * Parts that follow one another, as one batch.
   * @throws RangeError where they do not fit together.
   */
  join(parts: readonly Part<T>[]): T
}

const tensorBatch: Batch<Tensor> = {
  size: ({ shape }) => shape[0]!,
  cut: (value, { start, end }) => slice(value, 0, start, end - start),
  join: (parts) => joined(parts.map(({ value }) => value)),
}

export const imageBatch = tensorBatch
export const maskBatch = tensorBatch

/** Each entry keeps its own noise, so that it becomes what it would have become in the whole batch. */
export const latentBatch: Batch<Latent> = {
  size: ({ samples }) => samples.shape[0]!,
  cut: (value, { start, end }) => latentFromBatch(value, start, end - start),
  join: (parts) => {
    const samples = joined(parts.map(({ value }) => value.samples))
    const noiseMask = joinedMasks(parts)
    const batchIndex = joinedIndexes(parts)
    return { samples, ...(noiseMask && { noiseMask }), ...(batchIndex && { batchIndex }) }
  },
}

function joined(tensors: readonly Tensor[]): Tensor {
  const inner = ({ shape }: Tensor) => shape.slice(1).join()
  const [first, ...others] = tensors
  const other = others.find((one) => inner(one) !== inner(first!))
  if (other !== undefined) {
    throw new RangeError(`parts of [${first!.shape}] and [${other.shape}] make no batch`)
  }
  return concat(tensors, 0)
}

/** One mask for all where it is the same in all parts, else one an entry. */
function joinedMasks(parts: readonly Part<Latent>[]): Tensor | undefined {
  const masks = parts.flatMap(({ value }) => value.noiseMask ?? [])
  if (masks.length === 0) return undefined
  if (masks.length < parts.length) throw new RangeError('some parts have a noise mask, others none')
  if (masks.every((mask) => isSameMask(mask, masks[0]!))) return masks[0]
  return joined(parts.map(({ value }) => repeatTo(value.noiseMask!, 0, latentBatch.size(value))))
}

function isSameMask(mask: Tensor, first: Tensor): boolean {
  if (mask === first) return true
  return (
    mask.shape[0] === 1 &&
    mask.shape.join() === first.shape.join() &&
    mask.data.every((value, i) => value === first.data[i])
  )
}

/** Cutting wrote down which draw of the noise an entry has; entries that have their own need no note. */
function joinedIndexes(parts: readonly Part<Latent>[]): number[] | undefined {
  const indexes = parts.flatMap(({ value, range }) => value.batchIndex ?? ownIndexes(range))
  const start = parts[0]!.range.start
  const isPlain = start === 0 && indexes.every((index, i) => index === i)
  return isPlain ? undefined : indexes
}

function ownIndexes({ start, end }: Range): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i)
}
