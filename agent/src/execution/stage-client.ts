/** Brings stages to the peers they were placed on; the local peer is one of them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import type { StageOutcome, StageRequest } from '@comfymesh/protocol/stage'
import { cancelled, type StageRunOptions, type StageRuns } from './stage-run.ts'

export interface StageClient {
  /**
   * Runs a stage on a peer. A busy peer is asked again until it has room or the
   * signal aborts, because nothing that was accepted may be lost.
   * @throws MeshError as StageRuns.run, but never `busy`; `no_peer` for an unknown peer.
   */
  run(peerId: string, request: StageRequest, options: StageRunOptions): Promise<StageOutcome>
}

/** Used where a busy peer names no time. */
const DEFAULT_RETRY_AFTER_MS = 500
/** A peer may be wrong about when it has room, in either direction. */
const MIN_RETRY_AFTER_MS = 50
const MAX_RETRY_AFTER_MS = 30_000

export function createStageClient(modules: {
  /** The way to each peer's worker; undefined for one that cannot be had. */
  readonly worker: (peerId: string) => StageRuns | undefined
}): StageClient {
  return {
    async run(peerId, request, options) {
      for (;;) {
        const worker = modules.worker(peerId)
        if (worker === undefined)
          throw new MeshError('no_peer', `Peer ${peerId} is gone; the job cannot run there.`)
        try {
          return await worker.run(request, options)
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
  const askedMs = Number.isFinite(retryAfterMs) ? Number(retryAfterMs) : DEFAULT_RETRY_AFTER_MS
  const delayMs = Math.min(MAX_RETRY_AFTER_MS, Math.max(MIN_RETRY_AFTER_MS, askedMs))
  try {
    await sleep(delayMs, undefined, { signal })
  } catch {
    throw cancelled()
  }
}
