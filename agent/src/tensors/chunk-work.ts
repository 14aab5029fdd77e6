/**
 * Who fetches which chunk of a blob. Workers take what is left, one chunk after the other, so the
 * faster one takes more; who finds nothing left doubles what another has had for too long.
 */

export interface ChunkWork {
  /** One more who fetches. */
  join(): ChunkWorker
  isDone(chunk: number): boolean
  done(chunk: number): void
  isComplete(): boolean
  /** Nobody gets a chunk any more. */
  stop(): void
}

export interface ChunkWorker {
  /**
   * The next chunk to fetch; waits while all are under way elsewhere.
   * @returns undefined when all chunks are here, or this worker has left.
   */
  next(): Promise<number | undefined>
  /** What this worker had is for others again. */
  leave(): void
}

export interface ChunkWorkOptions {
  readonly chunkCount: number
  /** So long a chunk may be under way before another worker fetches it as well. */
  readonly doubleAfterMs: number
  readonly now: () => number
}

interface UnderWay {
  readonly workers: Set<ChunkWorker>
  readonly sinceMs: number
}

export function createChunkWork({ chunkCount, doubleAfterMs, now }: ChunkWorkOptions): ChunkWork {
  const left = new Set(Array.from({ length: chunkCount }, (_, chunk) => chunk))
  const underWay = new Map<number, UnderWay>()
  const finished = new Set<number>()
  const waiting = new Set<() => void>()
  let isStopped = false
  const isComplete = () => finished.size === chunkCount

  function wakeAll(): void {
    for (const wake of waiting) wake()
  }

  /** Until something changes, or so long. */
  function change(ms: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        waiting.delete(wake)
        clearTimeout(timer)
        resolve()
      }
      const timer = ms === undefined ? undefined : setTimeout(wake, ms)
      waiting.add(wake)
    })
  }

  /** The chunk that others have had for longest, and when it may be doubled. */
  function slowest(worker: ChunkWorker) {
    let found: { readonly chunk: number; readonly atMs: number } | undefined
    for (const [chunk, { workers, sinceMs }] of underWay) {
      if (workers.has(worker)) continue
      // Each further one waits longer, so that not all send the same.
      const atMs = sinceMs + doubleAfterMs * workers.size
      if (found === undefined || atMs < found.atMs) found = { chunk, atMs }
    }
    return found
  }

  /** @returns a chunk, or how long to wait for one unless something changes before. */
  function take(worker: ChunkWorker): { readonly chunk: number } | { readonly waitMs?: number } {
    const [chunk] = left
    if (chunk !== undefined) {
      left.delete(chunk)
      underWay.set(chunk, { workers: new Set([worker]), sinceMs: now() })
      return { chunk }
    }
    const slow = slowest(worker)
    if (slow === undefined) return {}
    if (slow.atMs > now()) return { waitMs: slow.atMs - now() }
    underWay.get(slow.chunk)!.workers.add(worker)
    return { chunk: slow.chunk }
  }

  function join(): ChunkWorker {
    let hasLeft = false
    const worker: ChunkWorker = {
      async next() {
        for (;;) {
          if (hasLeft || isStopped || isComplete()) return undefined
          const taken = take(worker)
          if ('chunk' in taken) return taken.chunk
          await change(taken.waitMs)
        }
      },
      leave() {
        hasLeft = true
        for (const [chunk, { workers }] of underWay) {
          if (!workers.delete(worker) || workers.size > 0) continue
          underWay.delete(chunk)
          left.add(chunk)
        }
        wakeAll()
      },
    }
    return worker
  }

  return {
    join,
    isDone: (chunk) => finished.has(chunk),
    done(chunk) {
      finished.add(chunk)
      left.delete(chunk)
      underWay.delete(chunk)
      wakeAll()
    },
    isComplete,
    stop() {
      isStopped = true
      wakeAll()
    },
  }
}
