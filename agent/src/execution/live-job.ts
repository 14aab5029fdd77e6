/** A job that has not ended: its state, and the one way to change it. */
import { foldJob, isFinished, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { Picture } from '../executors/executor.ts'
import type { JobRecord } from '../store/job-events.ts'
import type { JobStore } from '../store/jobs.ts'

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
   * The state for everybody else, as it was told, save that a job runs from its beginning on: it is
   * not in the queue any more. It runs until its end is on disk, so that clients find it in the
   * queue or in the history at any moment.
   */
  readonly known: JobState
  /** The disk refused its acceptance: nothing of it is told. Certain when it is settled. */
  readonly isRefused: boolean
  /**
   * Folds the event into the state, for recordAll; undefined when it changes nothing. Only while
   * the job does not run.
   */
  fold(change: JobChange): JobRecord | undefined
  /**
   * Folds the event into the state at once; writes it down and then tells the listeners, after those
   * before it. Only who depends on one of these waits. An event that the disk refuses still counts:
   * a restart would run the job again. Never rejects.
   */
  record(change: JobChange, preview?: Picture): Promise<void>
  /** When everything that was recorded is written and told. */
  settled(): Promise<void>
}

export interface LiveJobModules {
  readonly store: Pick<JobStore, 'append'>
  readonly now: () => number
  readonly publish: (update: JobUpdate) => void
  readonly warn: (message: string, error: unknown) => void
}

/**
 * @param accepted when the acceptance of a new job is on disk and told: nothing of it is told before,
 *   and nothing at all when it rejects.
 */
export function createLiveJob(
  initial: JobState,
  modules: LiveJobModules,
  accepted: Promise<void> = Promise.resolve(),
): LiveJob {
  let state = initial
  let known = initial
  let isRefused = false
  /** Everything so far. */
  let told = accepted.catch(() => {
    isRefused = true
  })

  function fold(change: JobChange): JobRecord | undefined {
    const event = { ...change, jobId: state.request.id, atMs: modules.now() } as JobEvent
    const before = state
    state = foldJob(state, event)
    return state === before ? undefined : { event, state }
  }

  async function tell(record: JobRecord, preview: Picture | undefined, before: Promise<void>) {
    // Steps are of the moment.
    const written = record.event.type === 'node-progress' ? undefined : keep([record], modules)
    await before
    await written
    if (isRefused) return
    known = record.state
    modules.publish({ ...record, ...(preview && { preview }) })
  }

  return {
    get state() {
      return state
    },
    get known() {
      return known
    },
    get isRefused() {
      return isRefused
    },
    fold(change) {
      const record = fold(change)
      if (!isFinished(state)) known = state
      return record
    },
    record(change, preview) {
      const record = fold(change)
      if (record === undefined || isRefused) return told
      if (change.type === 'started') known = record.state
      told = tell(record, preview, told).catch((error: unknown) =>
        modules.warn(`job ${record.event.jobId}: ${change.type} could not be told`, error),
      )
      return told
    },
    settled: () => told,
  }
}

/** What is to happen to a job. */
export interface PlannedChange {
  readonly job: LiveJob
  readonly change: JobChange
}

/** Folds changes of jobs that do not run at once; writes them down together, and tells them. */
export async function recordAll(
  changes: readonly PlannedChange[],
  modules: LiveJobModules,
): Promise<void> {
  const folded = changes.flatMap(({ job, change }) => {
    const record = job.fold(change)
    return record === undefined ? [] : [{ job, record }]
  })
  if (folded.length === 0) return
  const records = folded.map(({ record }) => record)
  await keep(records, modules)
  await Promise.all(folded.map(({ job }) => job.settled()))
  for (const { job, record } of folded) if (!job.isRefused) modules.publish(record)
}

async function keep(records: readonly JobRecord[], { store, warn }: LiveJobModules): Promise<void> {
  await store.append(...records).catch((error: unknown) => {
    for (const { event } of records)
      warn(`job ${event.jobId}: ${event.type} could not be written down`, error)
  })
}
