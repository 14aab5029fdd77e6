/** Cuts batches into parts that memory can hold and puts the results together again. */
import type { Tensor } from '../values.ts'
import { isOutOfMemory } from './network-runner.ts'

/** Remembers per network and size how many entries fit at once, once that was found out. */
export type BatchLimits = Map<string, number>

export interface BatchPlan {
  readonly total: number
  /** Key of what `limits` may know about this kind of batch. */
  readonly limitKey: string
  /** How many entries are expected to fit at once. */
  readonly expectedLimit: number
  readonly limits: BatchLimits
}

/** `size` entries of a batch from `start` on, perhaps beyond its end. */
export interface Part {
  readonly start: number
  readonly size: number
}

/**
 * Runs `runPart` over a batch in parts of equal size, halving the size whenever
 * memory runs out. The last part may reach beyond the end, so that all parts have the
 * shape of one session.
 * @returns the parts' results along the first dimension, without the surplus.
 * @throws MeshError `out_of_memory` when not even one entry fits.
 */
export async function runInParts(
  { total, limitKey, expectedLimit, limits }: BatchPlan,
  runPart: (part: Part) => Promise<Tensor>,
): Promise<Tensor> {
  for (;;) {
    const limit = Math.min(total, Math.max(1, limits.get(limitKey) ?? expectedLimit))
    const size = Math.ceil(total / Math.ceil(total / limit))
    try {
      const parts: Tensor[] = []
      for (let start = 0; start < total; start += size) {
        parts.push(await runPart({ start, size }))
      }
      return joinParts(parts, total)
    } catch (error) {
      if (size === 1 || !isOutOfMemory(error)) throw error
      limits.set(limitKey, Math.floor(size / 2))
    }
  }
}

/** A part of a batch as a tensor of its own, beyond the end the last entry again; all of it as it is. */
export function takePart(batch: Tensor, { start, size }: Part): Tensor {
  const { data, shape } = batch
  const [total = 1, ...rest] = shape
  if (size === total) return batch
  const length = data.length / total
  const taken = new Float32Array(length * size)
  for (let i = 0; i < size; i++) {
    const from = Math.min(start + i, total - 1) * length
    taken.set(data.subarray(from, from + length), i * length)
  }
  return { data: taken, shape: [size, ...rest] }
}

function joinParts(parts: readonly Tensor[], total: number): Tensor {
  const [first] = parts
  if (first === undefined) throw new RangeError('an empty batch has no result')
  const [size = 1, ...rest] = first.shape
  if (parts.length === 1 && size === total) return first
  const length = first.data.length / size
  const data = new Float32Array(length * total)
  parts.forEach((part, i) => {
    const wanted = Math.min(size, total - i * size) * length
    data.set(part.data.subarray(0, wanted), i * size * length)
  })
  return { data, shape: [total, ...rest] }
}
