/** The words between whoever wants a stage run and whoever runs it, on this machine or another. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { StageOutcome, StageRequest } from '@comfymesh/protocol/stage'
import type { StageEvent } from '../executors/executor.ts'

/** Where a stage stands, and what its executor tells. */
export type StageReport =
  /** It waits: for its inputs, and for what came before it. */
  | { readonly type: 'admitted' }
  /** Its inputs are here and its nodes begin. */
  | { readonly type: 'began' }
  | StageEvent

export interface StageRunOptions {
  /** Aborting cancels this attempt; with the reason AGENT_STOPS what runs on another peer goes on. */
  readonly signal: AbortSignal
  /** Not called any more once the run has ended. */
  readonly report: (report: StageReport) => void
}

export interface StageRuns {
  /**
   * Runs a stage to its end, or joins the run of the same stage that is under way.
   * @throws MeshError `busy` with details `{ retryAfterMs }`; as Executor.run; `corrupt_value` when
   *   an input cannot be had; `peer_unreachable`, `peer_incompatible` with details `{ peerId }`.
   */
  run(request: StageRequest, options: StageRunOptions): Promise<StageOutcome>
}

/** The reason of an abort when the agent stops: jobs stay as they are and go on after a restart. */
export const AGENT_STOPS = Symbol('agent stops')

/** The reason of an abort when the disk refused a job that had begun meanwhile: it never was. */
export const NOT_ACCEPTED = Symbol('not accepted')

export function cancelled(): MeshError {
  return new MeshError('interrupted', 'The stage was cancelled.')
}
