/** One attempt at a stage: it is sent to its peer, what it tells is recorded, what it made is judged. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Placement, PlannedStage } from '@comfymesh/protocol/plan'
import type { StageOutcome } from '@comfymesh/protocol/stage'
import type { ValueReference } from '@comfymesh/protocol/value'
import { checkValues } from '../planning/value-shapes.ts'
import type { LiveJob } from './live-job.ts'
import type { StageClient } from './stage-client.ts'
import {
  createStageRecorder,
  type StageRecorderModules,
  type StageRecorderOptions,
} from './stage-recorder.ts'
import { OwnFailure } from './wire-pictures.ts'

export interface StageAttemptOptions extends Pick<StageRecorderOptions, 'cached' | 'texts'> {
  readonly job: LiveJob
  readonly stage: PlannedStage
  readonly placement: Placement
  readonly attemptId: string
  readonly inputs: readonly ValueReference[]
  readonly signal: AbortSignal
}

export interface StageAttemptModules extends StageRecorderModules {
  readonly client: StageClient
}

export interface AttemptEnding {
  readonly options: StageAttemptOptions
  readonly elapsedMs: number
  readonly result: { readonly outcome: StageOutcome } | AttemptFailure
}

export interface AttemptFailure {
  readonly error: MeshError
  /** What it told could not be kept here: no fault of the peer's. */
  readonly isOwn: boolean
}

/** Never throws. Once it has ended nothing of it is recorded any more. */
export async function attemptStage(
  options: StageAttemptOptions,
  modules: StageAttemptModules,
): Promise<AttemptEnding> {
  const { job, stage, placement, signal } = options
  const { peerId } = placement
  // Not the clock of the day, which may be set meanwhile.
  const startedAtMs = performance.now()
  const end = (result: AttemptEnding['result']) => ({
    options,
    elapsedMs: performance.now() - startedAtMs,
    result,
  })
  // A stage whose results cannot be kept need not go on.
  const failing = new AbortController()
  const recorder = createStageRecorder(
    { ...options, peerId, onFailure: () => failing.abort() },
    modules,
  )
  try {
    const outcome = await modules.client.run(peerId, requestOf(options), {
      signal: AbortSignal.any([signal, failing.signal]),
      report: recorder.report,
    })
    checkValues(outcome.values, { stage, peerId, prompt: job.state.request.prompt })
    const ownError = await recorder.settled()
    return end(ownError === undefined ? { outcome } : { error: ownError, isOwn: true })
  } catch (thrown) {
    // Its own failure to record is the true reason when that is what stopped the stage.
    const ownError = await recorder.settled()
    const error = ownError ?? causeOf(MeshError.from(thrown), options)
    return end({ error, isOwn: ownError !== undefined || thrown instanceof OwnFailure })
  }
}

/** Nobody here cancelled it: its peer was stopped, or has given up waiting for us. */
function causeOf(error: MeshError, { placement, signal }: StageAttemptOptions): MeshError {
  const { peerId, peerName } = placement
  if (error.code !== 'interrupted' || signal.aborted) return named(error, placement)
  const message = `${peerName} gave the stage up before it was done.`
  return new MeshError('peer_unreachable', message, { details: { peerId }, cause: error })
}

/** The mesh knows peers by their ids, and whoever reads this by their names. */
function named(error: MeshError, { peerId, peerName }: Placement): MeshError {
  const { code, details } = error
  const message = error.message.replaceAll(`Peer ${peerId}`, peerName)
  return message === error.message ? error : new MeshError(code, message, { details, cause: error })
}

function requestOf({ job, stage, placement, attemptId, inputs }: StageAttemptOptions) {
  const { after: _, ...sent } = stage
  const { loadMs, computeMs } = placement.estimate
  return {
    stage: sent,
    jobId: job.state.request.id,
    attemptId,
    inputs: [...inputs],
    expectedMs: loadMs + computeMs,
    previews: true,
  }
}
