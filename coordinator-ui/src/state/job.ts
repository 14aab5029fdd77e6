/** One job as it is now: live where this page follows it, read from the agent where it does not. */
import { isFinished, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import { useQuery } from '@tanstack/react-query'
import { readJob, readJobLog } from '../api/jobs.ts'
import { jobs } from './agent.ts'
import { useStore } from './store.ts'

export function useJob(id: string): { readonly job?: JobState; readonly error: Error | null } {
  const live = useStore(jobs).get(id)
  const { data, error } = useQuery({
    queryKey: ['job', id],
    queryFn: ({ signal }) => readJob(id, signal),
    enabled: live === undefined,
  })
  const job = live ?? data
  return job === undefined ? { error } : { job, error: null }
}

const REFRESH_MS = 2000

export function useJobLog(job: JobState): {
  readonly events: readonly JobEvent[]
  readonly error: Error | null
  readonly isPending: boolean
} {
  const id = job.request.id
  const {
    data = [],
    error,
    isPending,
  } = useQuery({
    // Asked once more when the job has ended: what came last belongs to it.
    queryKey: ['job log', id, isFinished(job)],
    queryFn: ({ signal }) => readJobLog(id, signal),
    refetchInterval: isFinished(job) ? false : REFRESH_MS,
    placeholderData: (before) => before,
  })
  return { events: data, error, isPending }
}
