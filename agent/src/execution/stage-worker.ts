/**
 * The door to this machine's executor: every stage, local or from another peer,
 * is admitted here into a bounded queue, and the same stage twice is run once.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Executor, RunOptions, Stage, StageEvent, StageResult } from '../executors/executor.ts'

export interface StageWorkerOptions {
  /** Stages that may wait or run; beyond it the answer is `busy`. */
  readonly queueLimit?: number
}

export interface StageWorker {
  /**
   * Runs a stage after those admitted before it, or joins the run of the same stage
   * that is under way and repeats its events so far.
   * @throws MeshError `busy` with details `{ retryAfterMs }`, or as Executor.run.
   */
  run(stage: Stage, options: RunOptions): Promise<StageResult>
}

/** Enough to keep a device busy, few enough that a submitter notices and goes elsewhere. */
const DEFAULT_QUEUE_LIMIT = 8

/** When a refused submitter may ask again; stages take seconds. */
const RETRY_AFTER_MS = 250

interface Work {
  readonly controller: AbortController
  /** Events for those who join later; steps and their previews are of the moment only. */
  readonly log: StageEvent[]
  readonly listeners: Set<RunOptions['report']>
  readonly result: Promise<StageResult>
}

export function createStageWorker(
  options: StageWorkerOptions,
  modules: { readonly executor: Executor },
): StageWorker {
  const queueLimit = options.queueLimit ?? DEFAULT_QUEUE_LIMIT
  const works = new Map<string, Work>()
  let last: Promise<unknown> = Promise.resolve()

  function admit(stage: Stage): Work {
    if (works.size >= queueLimit) {
      throw new MeshError(
        'busy',
        `${works.size} stages are waiting here already. Try again soon.`,
        {
          details: { retryAfterMs: RETRY_AFTER_MS },
        },
      )
    }
    const controller = new AbortController()
    const log: StageEvent[] = []
    const listeners: Work['listeners'] = new Set()
    const report = (event: StageEvent) => {
      if (event.type !== 'node-progress') log.push(event)
      for (const listener of listeners) listener(event)
    }
    const result = last.then(async () => {
      try {
        throwIfAborted(controller.signal)
        return await modules.executor.run(stage, { signal: controller.signal, report })
      } finally {
        // One that was given up may have been admitted anew meanwhile.
        if (works.get(stage.id) === work) works.delete(stage.id)
      }
    })
    last = result.catch(() => {})
    const work = { controller, log, listeners, result }
    works.set(stage.id, work)
    return work
  }

  return {
    async run(stage, { signal, report }) {
      throwIfAborted(signal)
      const current = works.get(stage.id)
      const work = current?.controller.signal.aborted === false ? current : admit(stage)
      return join(work, signal, report)
    },
  }
}

/** Follows a run to its end. Who gives up stops the run if nobody else follows it. */
async function join(
  work: Work,
  signal: AbortSignal,
  report: RunOptions['report'],
): Promise<StageResult> {
  const listener = (event: StageEvent) => report(event)
  for (const event of work.log) listener(event)
  work.listeners.add(listener)
  let giveUp = () => {}
  const left = new Promise<never>((_, reject) => {
    giveUp = () => {
      work.listeners.delete(listener)
      if (work.listeners.size === 0) work.controller.abort()
      else reject(interrupted())
    }
  })
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    return await Promise.race([work.result, left])
  } finally {
    signal.removeEventListener('abort', giveUp)
    work.listeners.delete(listener)
  }
}

function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw interrupted()
}

function interrupted(): MeshError {
  return new MeshError('interrupted', 'The stage was cancelled.')
}
