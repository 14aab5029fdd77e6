/** A job that has not ended: its state, and the one way to change it. */
import { foldJob, isFinished, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { Picture } from '../executors/executor.ts'
import type { JobRecord, JobStore } from '../store/jobs.ts'

type WithoutStamp<T> = T extends JobEvent ? Omit<T, 'jobId' | 'atMs'> : never
/** An event before it is known when it happened and to which job. */
export type JobChange = WithoutStamp<JobEvent>

/** What listeners are told: the event, the state it led to, and a preview that is kept nowhere. */
export interface JobUpdate extends JobRecord {
  readonly preview?: Picture
}

export interface LiveJob {
  readonly state: JobState
  /**
   * The state for everybody else: a job runs until its end is on disk, so that clients find it in
   * the queue or in the history at any moment.
   */
  readonly known: JobState
  /** Folds the event into the state, and nothing else; undefined when it changes nothing. */
  fold(change: JobChange): JobRecord | undefined
  /**
   * Folds the event into the state, writes it down, tells the listeners. An event
   * that the disk refuses still counts: a restart would run the job again.
   */
  record(change: JobChange, preview?: Picture): Promise<void>
}

export interface LiveJobModules {
  readonly store: Pick<JobStore, 'append'>
  readonly now: () => number
  readonly publish: (update: JobUpdate) => void
  readonly warn: (message: string, error: unknown) => void
}

export function createLiveJob(initial: JobState, modules: LiveJobModules): LiveJob {
  let state = initial
  let known = initial

  function fold(change: JobChange): JobRecord | undefined {
    const event = { ...change, jobId: state.request.id, atMs: modules.now() } as JobEvent
    const before = state
    state = foldJob(state, event)
    if (!isFinished(state)) known = state
    return state === before ? undefined : { event, state }
  }

  return {
    get state() {
      return state
    },
    get known() {
      return known
    },
    fold,
    async record(change, preview) {
      const record = fold(change)
      if (record === undefined) return
      if (change.type !== 'node-progress') await keep([record], modules)
      known = state
      modules.publish({ ...record, ...(preview && { preview }) })
    },
  }
}

/** Writes what happened to several jobs down at once, and tells it. */
export async function recordAll(
  records: readonly JobRecord[],
  modules: LiveJobModules,
): Promise<void> {
  await keep(records, modules)
  for (const record of records) modules.publish(record)
}

async function keep(records: readonly JobRecord[], { store, warn }: LiveJobModules): Promise<void> {
  await store.append(...records).catch((error: unknown) => {
    for (const { event } of records)
      warn(`job ${event.jobId}: ${event.type} could not be written down`, error)
  })
}
