/**
 * Keeps what was opened, within a memory budget: the least used goes first.
 * Knows neither models nor onnxruntime, only that what it keeps has a size and an end.
 */

export interface Releasable {
  release(): Promise<void>
}

export interface CacheEntry<T> {
  /** Equal keys mean that one can stand for the other. */
  readonly key: string
  /** What it is expected to need while it works, in bytes. */
  readonly peakBytes: number
  /** What it was made of, for people to know. */
  readonly source?: string
  open(): Promise<T>
}

export interface SessionCache<T extends Releasable> {
  /**
   * Opens or finds the entry, after making room for it, and runs `work` on it.
   * It is not released meanwhile. Uses come one after another, never at once.
   */
  use<R>(entry: CacheEntry<T>, work: (kept: T) => Promise<R>): Promise<R>
  /** Releases everything, or everything but one. */
  clear(exceptKey?: string): Promise<void>
  /** The least used first. */
  readonly keys: readonly string[]
  /** What the kept ones were made of, each named once. */
  readonly sources: readonly string[]
}

export interface SessionCacheOptions {
  readonly budgetBytes: number
  /** However small they are: each also costs file handles and graph structures. */
  readonly maxEntries: number
  /** Bytes the process holds now, where the platform can say; it corrects expectations. */
  readonly measureBytes: () => number | undefined
}

interface Kept<T> {
  readonly value: T
  readonly source: string | undefined
  /** What it holds between two uses; its peak until that was measured. */
  heldBytes: number
  measured: boolean
}

export function createSessionCache<T extends Releasable>(
  options: SessionCacheOptions,
): SessionCache<T> {
  const { budgetBytes, maxEntries, measureBytes } = options
  /** Insertion order is order of use: a use moves its entry to the end. */
  const kept = new Map<string, Kept<T>>()

  async function release(key: string): Promise<void> {
    const { value } = kept.get(key)!
    kept.delete(key)
    await value.release()
  }

  /** Releases others until `key` can need `peakBytes` beside what they hold. */
  async function makeRoom(key: string, peakBytes: number): Promise<void> {
    const own = kept.get(key)?.heldBytes ?? 0
    let heldBytes = [...kept.values()].reduce((sum, entry) => sum + entry.heldBytes, -own)
    for (const [other, entry] of [...kept]) {
      const count = kept.size + (kept.has(key) ? 0 : 1)
      if (heldBytes + Math.max(peakBytes, own) <= budgetBytes && count <= maxEntries) return
      if (other === key) continue
      heldBytes -= entry.heldBytes
      await release(other)
    }
  }

  async function find({ key, peakBytes, source, open }: CacheEntry<T>): Promise<Kept<T>> {
    const found = kept.get(key)
    const entry = found ?? { value: await open(), source, heldBytes: peakBytes, measured: false }
    kept.delete(key)
    kept.set(key, entry)
    return entry
  }

  return {
    use: async (entry, work) => {
      await makeRoom(entry.key, entry.peakBytes)
      const isMeasured = kept.get(entry.key)?.measured === true
      const before = isMeasured ? undefined : measureBytes()
      const used = await find(entry)
      const result = await work(used.value)
      const after = before === undefined ? undefined : measureBytes()
      if (before !== undefined && after !== undefined) {
        used.measured = true
        used.heldBytes = Math.max(0, after - before)
        await makeRoom(entry.key, 0)
      }
      return result
    },
    clear: async (exceptKey) => {
      for (const key of [...kept.keys()]) if (key !== exceptKey) await release(key)
    },
    get keys() {
      return [...kept.keys()]
    },
    get sources() {
      const sources = [...kept.values()].map(({ source }) => source)
      return [...new Set(sources.filter((source) => source !== undefined))]
    },
  }
}
