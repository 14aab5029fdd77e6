/** What waits for a slow reader: everything in its order, but of what is of the moment the latest. */

export interface Outbox<T> {
  put(item: T): void
  /** The next one, as soon as there is one; undefined when there is none for a while. */
  next(patienceMs: number): Promise<T | undefined>
}

/** @param replaces whether the next item makes the last one, still waiting, superfluous. */
export function createOutbox<T>(replaces: (last: T, next: T) => boolean): Outbox<T> {
  const waiting: T[] = []
  let wake = () => {}
  return {
    put(item) {
      const last = waiting.at(-1)
      if (last !== undefined && replaces(last, item)) waiting.pop()
      waiting.push(item)
      wake()
    },
    async next(patienceMs) {
      if (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, patienceMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      return waiting.shift()
    },
  }
}
