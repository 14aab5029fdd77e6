/** What the queue must not forget over a restart, besides the jobs in it. */
import type { Database } from './database.ts'

export interface QueueState {
  /** Since when the queue is paused; undefined while it runs. */
  readonly pausedAtMs: number | undefined
  /** @throws MeshError `storage_failed`, and then nothing has changed. */
  setPaused(atMs: number | undefined): Promise<void>
  /** Hears of each change once it is kept. @returns the function that ends it. */
  onPaused(listener: () => void): () => void
}

const PAUSED_KEY = 'queue/pausedAtMs'

export async function openQueueState(database: Database): Promise<QueueState> {
  const text = await database.get(PAUSED_KEY)
  const listeners = new Set<() => void>()
  let pausedAtMs = text === undefined ? undefined : Number(text)
  return {
    get pausedAtMs() {
      return pausedAtMs
    },
    async setPaused(atMs) {
      const write =
        atMs === undefined
          ? ({ type: 'del', key: PAUSED_KEY } as const)
          : ({ type: 'put', key: PAUSED_KEY, value: String(atMs) } as const)
      await database.write([write], { what: 'The state of the queue', sync: 'now' })
      const isOther = pausedAtMs !== atMs
      pausedAtMs = atMs
      if (isOther) for (const listener of listeners) listener()
    },
    onPaused(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
