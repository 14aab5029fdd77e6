/** A stage that was admitted: who follows it, what it has told so far, and what became of it. */
import type { StageOutcome, StageRequest } from '@comfymesh/protocol/stage'
import { cancelled, type StageReport, type StageRunOptions } from './stage-run.ts'

export interface StageWork {
  /** Set by the first who may come back for what became of it after losing its word. */
  mayBeAskedAgain: boolean
  readonly state: 'unfinished' | 'finished' | 'failed'
  /** Nobody wants it any more; what follows comes too late. */
  readonly isGivenUp: boolean
  /** Of what its plan estimates, how much is left. */
  remainingMs(): number
  /** What its pictures take in memory. */
  pictureBytes(): number
  values(): StageOutcome['values']
  has(attemptId: string): boolean
  /**
   * Tells what is past, without its steps, and what comes, to the end.
   * @throws MeshError as StageRuns.run; `interrupted` when the signal aborts or the attempt is cancelled.
   */
  follow(
    request: Pick<StageRequest, 'attemptId' | 'previews'>,
    options: StageRunOptions,
  ): Promise<StageOutcome>
  /** Ends an attempt; all, and nothing is left to do. */
  cancel(attemptId: string): void
  cancelAll(): void
}

export interface StageWorkOptions {
  readonly expectedMs: number
  /** How long it goes on while nobody follows it. */
  readonly abandonedAfterMs: number
}

export interface StageWorkModules {
  readonly perform: (options: StageRunOptions) => Promise<StageOutcome>
  readonly onEnd: () => void
  readonly now: () => number
}

interface Follower {
  readonly attemptId: string
  readonly report: StageRunOptions['report']
  readonly leave: () => void
}

export function createStageWork(options: StageWorkOptions, modules: StageWorkModules): StageWork {
  const { now } = modules
  const controller = new AbortController()
  const attempts = new Set<string>()
  const followers = new Set<Follower>()
  /** For those who join later; steps and their previews are of the moment only. */
  const log: StageReport[] = [{ type: 'admitted' }]
  let state: StageWork['state'] = 'unfinished'
  let made: StageOutcome['values'] = []
  let beganAtMs: number | undefined
  let abandoning: NodeJS.Timeout | undefined

  function giveUp(): void {
    clearTimeout(abandoning)
    controller.abort()
  }

  function report(told: StageReport): void {
    if (told.type === 'began') beganAtMs = now()
    if (told.type !== 'node-progress') log.push(told)
    for (const follower of followers) follower.report(told)
  }

  function end(ending: 'finished' | 'failed', values: StageOutcome['values']): void {
    state = ending
    made = values
    clearTimeout(abandoning)
    modules.onEnd()
  }

  const outcome = modules.perform({ signal: controller.signal, report })
  outcome.then(
    ({ values }) => end('finished', values),
    () => end('failed', []),
  )

  function left(): void {
    if (followers.size > 0 || state !== 'unfinished' || controller.signal.aborted) return
    abandoning = setTimeout(giveUp, options.abandonedAfterMs)
  }

  return {
    mayBeAskedAgain: false,
    get state() {
      return state
    },
    get isGivenUp() {
      return controller.signal.aborted
    },
    remainingMs() {
      const doneMs = beganAtMs === undefined ? 0 : now() - beganAtMs
      return Math.max(0, options.expectedMs - doneMs)
    },
    pictureBytes: () =>
      log
        .flatMap((told) => (told.type === 'node-finished' ? (told.pictures ?? []) : []))
        .reduce((sum, { bytes }) => sum + bytes.length, 0),
    values: () => made,
    has: (attemptId) => attempts.has(attemptId),
    follow({ attemptId, previews }, { signal, report: tell }) {
      attempts.add(attemptId)
      clearTimeout(abandoning)
      const listener = previews ? tell : (told: StageReport) => tell(withoutPreview(told))
      for (const past of log) listener(past)
      return new Promise((resolve, reject) => {
        const settle = (with_: () => void) => {
          signal.removeEventListener('abort', leave)
          if (!followers.delete(follower)) return
          with_()
          left()
        }
        const leave = () => settle(() => reject(cancelled()))
        const follower = { attemptId, report: listener, leave }
        followers.add(follower)
        signal.addEventListener('abort', leave)
        outcome.then(
          (value) => settle(() => resolve(value)),
          (error) => settle(() => reject(error)),
        )
      })
    },
    cancel(attemptId) {
      if (!attempts.delete(attemptId)) return
      if (attempts.size === 0) giveUp()
      for (const follower of [...followers]) if (follower.attemptId === attemptId) follower.leave()
    },
    cancelAll: giveUp,
  }
}

function withoutPreview(told: StageReport): StageReport {
  if (told.type !== 'node-progress' || told.preview === undefined) return told
  const { preview: _, ...step } = told
  return step
}
