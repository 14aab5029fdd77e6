/** How full and how busy the machines of the mesh were lately, as they advertised it. */
import { type LoadHistory, withLoads } from '@comfymesh/protocol/loads'
import type { Mesh } from '../mesh/mesh.ts'

export interface LoadHistoryKeeper {
  start(): void
  stop(): void
  current(): LoadHistory
}

/** Ninety samples in a quarter of an hour: as many as a small chart can show. */
const SAMPLE_MS = 10_000

export function createLoadHistory(modules: {
  readonly mesh: Pick<Mesh, 'peers'>
  readonly now: () => number
}): LoadHistoryKeeper {
  const { mesh, now } = modules
  let history: LoadHistory = {}
  let timer: NodeJS.Timeout | undefined
  return {
    start() {
      timer = setInterval(() => {
        history = withLoads(history, mesh.peers().peers, now())
      }, SAMPLE_MS).unref()
    },
    stop: () => clearInterval(timer),
    // The newest samples are of this moment, however long ago the last ones were kept.
    current: () => withLoads(history, mesh.peers().peers, now()),
  }
}
