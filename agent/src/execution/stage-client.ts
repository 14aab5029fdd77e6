/** Brings stages to the peers they were placed on; the local peer is one of them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import type { RunOptions, Stage, StageResult } from '../executors/executor.ts'
import type { StageWorker } from './stage-worker.ts'

export interface StageClient {
  /**
   * Runs a stage on a peer. A busy peer is asked again until it has room or the
   * signal aborts, because nothing that was accepted may be lost.
   * @throws MeshError as StageWorker.run, but never `busy`; `no_peer` for an unknown peer.
   */
  run(peerId: string, stage: Stage, options: RunOptions): Promise<StageResult>
}

/** Used where a busy peer names no time. */
const DEFAULT_RETRY_AFTER_MS = 500

export function createStageClient(modules: {
  /** The way to each peer's worker. */
  readonly worker: (peerId: string) => Pick<StageWorker, 'run'> | undefined
}): StageClient {
  return {
    async run(peerId, stage, options) {
      for (;;) {
        const worker = modules.worker(peerId)
        if (worker === undefined)
          throw new MeshError('no_peer', `Peer ${peerId} is gone; the job cannot run there.`)
        try {
          return await worker.run(stage, options)
        } catch (thrown) {
          const error = MeshError.from(thrown)
          if (error.code !== 'busy') throw error
          await pause(error, options.signal)
        }
      }
    },
  }
}

async function pause(busy: MeshError, signal: AbortSignal): Promise<void> {
  const { retryAfterMs } = busy.details
  const delayMs = typeof retryAfterMs === 'number' ? retryAfterMs : DEFAULT_RETRY_AFTER_MS
  try {
    await sleep(delayMs, undefined, { signal })
  } catch (cause) {
    throw new MeshError('interrupted', 'The stage was cancelled.', { cause })
  }
}
