/**
 * Work that is done in batches: what comes in one turn of the event loop, or while a batch is under
 * way, makes up the next.
 */
import { setImmediate as endOfTurn } from 'node:timers/promises'

/** Resolves, or rejects, with the batch that the item was in. */
export type AddToBatch<T> = (item: T) => Promise<void>

/** @param work takes what has come since the last batch, in the order in which it came. */
export function createBatches<T>(work: (items: readonly T[]) => Promise<void>): AddToBatch<T> {
  let waiting: T[] = []
  /** The batch under way, and the one after it, which takes what comes now. */
  let current: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined

  async function workOff(before: Promise<void>): Promise<void> {
    await Promise.allSettled([before, endOfTurn()])
    const items = waiting
    waiting = []
    next = undefined
    await work(items)
  }

  return (item) => {
    waiting.push(item)
    if (next === undefined) {
      next = workOff(current)
      current = next
    }
    return next
  }
}
