/** The plan by which a paused job would go on, were its question answered so. Nothing is answered. */
import { foldJob, type JobAnswer, type JobState } from '@comfymesh/protocol/job'
import type { Plan } from '@comfymesh/protocol/plan'
import { createFaults } from './faults.ts'
import { type JobPlanningModules, planLeft } from './job-planning.ts'

/**
 * What is made already counts, and so does who failed the job before: as when it goes on. A plan
 * with a question again is one that the job would not go on by.
 * @throws MeshError `no_peer` where nobody can; `invalid_prompt` for options that make no sense.
 */
export async function previewAnswer(
  state: JobState,
  answer: Exclude<JobAnswer, 'cancel'>,
  modules: JobPlanningModules,
): Promise<Plan> {
  const jobId = state.request.id
  const answered = foldJob(state, { type: 'answered', answer, jobId, atMs: modules.now() })
  const circumstances = {
    running: new Set<string>(),
    faults: createFaults(state.attempts),
    signal: new AbortController().signal,
  }
  return (await planLeft({ state: answered }, circumstances, modules)).plan
}
