/** All jobs as lists show them: those that run and wait from memory, those that ended from the store. */
import type { JobState } from '@comfymesh/protocol/job'
import {
  entryOf,
  type JobEntry,
  type JobSummary,
  summariseJob,
} from '@comfymesh/protocol/job-summary'
import type { HistoryRange, JobStore } from '../store/jobs.ts'

export interface JobLists {
  /** All jobs: those that run, those that wait in their order, those that ended. */
  entries(): JobEntry[]
  /** What lists show of jobs, in the order asked for; one that was forgotten is left out. */
  summaries(jobs: readonly JobEntry[]): Promise<JobSummary[]>
  /** Finished jobs that had begun, the oldest first. */
  history(range?: HistoryRange): Promise<JobState[]>
  job(id: string): Promise<JobState | undefined>
  forget(ids: readonly string[] | 'all'): Promise<void>
}

export interface JobListsModules {
  readonly store: Pick<JobStore, 'entries' | 'summaries' | 'history' | 'finished' | 'forget'>
  /** Those that run, then those that wait in their order. */
  readonly unfinished: () => readonly JobState[]
  /** The one of them with this id. */
  readonly unfinishedJob: (id: string) => JobState | undefined
}

export function createJobLists({ store, unfinished, unfinishedJob }: JobListsModules): JobLists {
  return {
    entries() {
      // One that ends at this moment is in both, and counts as ended.
      const all = [...unfinished().map(entryOf), ...store.entries()]
      return [...new Map(all.map((job) => [job.id, job])).values()]
    },
    async summaries(jobs) {
      const states = jobs.map(({ id }) => unfinishedJob(id))
      const ended = await store.summaries(jobs.filter((_, index) => states[index] === undefined))
      const byId = new Map(ended.map((summary) => [summary.id, summary]))
      return jobs.flatMap(({ id }, index) => {
        const state = states[index]
        return state === undefined ? (byId.get(id) ?? []) : summariseJob(state)
      })
    },
    history: (range) => store.history(range),
    job: async (id) => unfinishedJob(id) ?? (await store.finished(id)),
    forget: (ids) => store.forget(ids),
  }
}
