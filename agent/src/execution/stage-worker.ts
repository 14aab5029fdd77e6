/**
 * The door to this machine's executor: every stage, of this agent's jobs or of another peer's, is
 * admitted here into a bounded queue, and the same stage twice is run once.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { StageAttempt, StageOutcome, StageRequest } from '@comfymesh/protocol/stage'
import { createKeptStages } from './kept-stages.ts'
import { createDevice, type PerformModules, performStage } from './perform-stage.ts'
import { cancelled, type StageRunOptions, type StageRuns } from './stage-run.ts'
import { createStageWork, type StageWork } from './stage-work.ts'

export interface StageWorkerOptions {
  /** The peer whose worker this is: it holds what is made here. */
  readonly peerId: string
  /** Stages that may wait or run; beyond it the answer is `busy`. */
  readonly queueLimit?: number
  /** How long a stage goes on that nobody follows. */
  readonly abandonedAfterMs?: number
  /** How long the outcome of a stage that others follow, and values, are kept for them. */
  readonly keepMs?: number
}

export type StageWorkerModules = Omit<PerformModules, 'device' | 'holdMade'>

export interface StageWorker extends StageRuns {
  /**
   * As `run`, for those whose word may be cut off: aborting only ends the following. The stage goes
   * on until it is cancelled, or nobody has followed it for a while; what became of it is kept.
   */
  follow(request: StageRequest, options: StageRunOptions): Promise<StageOutcome>
  /** Ends an attempt; the stage itself when it was the last one. */
  cancel(attempt: StageAttempt): void
  /** How long what runs and waits here will take, as its plans estimate it. */
  busyMs(): number
  /** Tells when a stage was admitted or has ended. @returns ends it. */
  onChange(listener: () => void): () => void
  /** Keeps bytes as long as the values of a stage that ends now. */
  keep(hashes: readonly string[]): void
  /** Stages that ended run again when they are asked for again. */
  forget(): void
  /** Cancels everything and keeps nothing. */
  stop(): void
}

/** Enough to keep a device busy, few enough that a submitter notices and goes elsewhere. */
const DEFAULT_QUEUE_LIMIT = 8
const ABANDONED_AFTER_MS = 60_000
const KEEP_MS = 5 * 60_000
/** When a refused submitter may ask again, whatever the estimates say. */
const MIN_RETRY_AFTER_MS = 100
const MAX_RETRY_AFTER_MS = 5000

/** Cancels may overtake what they cancel, on a stream of their own. */
const REMEMBERED_CANCELS = 1000

export function createStageWorker(
  options: StageWorkerOptions,
  modules: StageWorkerModules,
): StageWorker {
  const { now } = modules
  const { peerId, queueLimit = DEFAULT_QUEUE_LIMIT } = options
  const { abandonedAfterMs = ABANDONED_AFTER_MS, keepMs = KEEP_MS } = options
  const device = createDevice(now)
  /** Everything that takes room here, also what was given up and has not yielded yet. */
  const unfinished = new Set<StageWork>()
  const current = new Map<string, StageWork>()
  const kept = createKeptStages({ keepMs }, modules)
  const cancels = new Set<string>()
  const listeners = new Set<() => void>()
  const tellChange = () => {
    for (const listener of listeners) listener()
  }

  function refuseWhenFull(): void {
    if (unfinished.size < queueLimit) return
    const nextMs = Math.min(...[...unfinished].map((work) => work.remainingMs()))
    const retryAfterMs = Math.min(MAX_RETRY_AFTER_MS, Math.max(MIN_RETRY_AFTER_MS, nextMs))
    const message = `${unfinished.size} stages are waiting here already. Try again soon.`
    throw new MeshError('busy', message, { details: { retryAfterMs } })
  }

  function admit(request: StageRequest): StageWork {
    refuseWhenFull()
    const { stage, expectedMs } = request
    let releaseMade = () => {}
    const holdMade = (hashes: readonly string[]) => {
      releaseMade = modules.blobs.hold(hashes)
    }
    const perform = (runOptions: StageRunOptions) =>
      performStage(peerId, request, runOptions, { ...modules, device, holdMade })
    const onEnd = () => {
      unfinished.delete(work)
      tellChange()
      // One that was given up may have been admitted anew meanwhile.
      if (current.get(stage.id) === work) {
        current.delete(stage.id)
        kept.add(stage.id, work)
      }
      releaseMade()
    }
    const work = createStageWork({ expectedMs, abandonedAfterMs }, { perform, onEnd, now })
    unfinished.add(work)
    current.set(stage.id, work)
    tellChange()
    return work
  }

  function workOf(request: StageRequest): StageWork {
    const running = current.get(request.stage.id)
    if (running?.isGivenUp === false) return running
    return kept.get(request.stage.id, request.attemptId) ?? admit(request)
  }

  async function follow(
    request: StageRequest,
    runOptions: StageRunOptions,
    mayAskAgain: boolean,
  ): Promise<StageOutcome> {
    if (runOptions.signal.aborted || cancels.has(request.attemptId)) throw cancelled()
    const work = workOf(request)
    work.mayBeAskedAgain ||= mayAskAgain
    return work.follow(request, runOptions)
  }

  function cancel({ stageId, attemptId }: StageAttempt): void {
    cancels.add(attemptId)
    if (cancels.size > REMEMBERED_CANCELS) cancels.delete(cancels.values().next().value!)
    current.get(stageId)?.cancel(attemptId)
  }

  return {
    async run(request, runOptions) {
      const { signal } = runOptions
      const { stage, attemptId } = request
      const onAbort = () => cancel({ stageId: stage.id, attemptId })
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        return await follow(request, runOptions, false)
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
    follow: (request, runOptions) => follow(request, runOptions, true),
    cancel,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    busyMs: () => [...unfinished].reduce((sum, work) => sum + work.remainingMs(), 0),
    keep: kept.keep,
    forget: () => kept.forget(),
    stop() {
      for (const work of unfinished) work.cancelAll()
      kept.stop()
    },
  }
}
