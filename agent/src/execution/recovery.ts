/** What a restart finds: jobs that were accepted and have not ended wait in the queue again. */
import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { JobStore } from '../store/jobs.ts'

/**
 * The unfinished jobs of the store, queued or paused. One that ran when the agent stopped waits
 * again; what it made already, here or elsewhere, is not made twice.
 */
export async function recoverJobs(
  store: Pick<JobStore, 'unfinished' | 'append'>,
  now: () => number,
): Promise<JobState[]> {
  const recovered: JobState[] = []
  for (const state of await store.unfinished()) {
    if (state.status !== 'running') {
      recovered.push(state)
      continue
    }
    const event: JobEvent = { type: 'requeued', jobId: state.request.id, atMs: now() }
    const queued = foldJob(state, event)
    await store.append({ state: queued, event })
    recovered.push(queued)
  }
  return recovered
}
