/** What a restart finds: jobs that were accepted and have not ended wait in the queue again. */
import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { JobStore } from '../store/jobs.ts'

/**
 * The unfinished jobs of the store, all of them queued. One that ran when the agent
 * stopped begins anew; what its output nodes had made already is not made twice.
 */
export async function recoverJobs(
  store: Pick<JobStore, 'unfinished' | 'append'>,
  now: () => number,
): Promise<JobState[]> {
  const recovered: JobState[] = []
  for (const state of await store.unfinished()) {
    if (state.status === 'queued') {
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
