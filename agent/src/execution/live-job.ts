/** A job that has not ended: its state, and the one way to change it. */
import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { Picture } from '../executors/executor.ts'
import type { JobStore } from '../store/jobs.ts'

type WithoutStamp<T> = T extends JobEvent ? Omit<T, 'jobId' | 'atMs'> : never
/** An event before it is known when it happened and to which job. */
export type JobChange = WithoutStamp<JobEvent>

/** What listeners are told: the event, the state it led to, and a preview that is kept nowhere. */
export interface JobUpdate {
  readonly event: JobEvent
  readonly state: JobState
  readonly preview?: Picture
}

export interface LiveJob {
  readonly state: JobState
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
  return {
    get state() {
      return state
    },
    async record(change, preview) {
      const jobId = state.request.id
      const event = { ...change, jobId, atMs: modules.now() } as JobEvent
      const before = state
      state = foldJob(state, event)
      if (state === before) return
      if (event.type !== 'node-progress') {
        await modules.store.append(state, event).catch((error: unknown) => {
          modules.warn(`job ${jobId}: ${event.type} could not be written down`, error)
        })
      }
      modules.publish({ event, state, ...(preview && { preview }) })
    },
  }
}
