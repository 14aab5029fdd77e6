/** One job from its place at the head of the queue to its end, or to a question of the planner's. */
import { MeshError } from '@comfymesh/protocol/errors'
import { carryOut, type JobCourseModules } from './job-course.ts'
import type { LiveJob } from './live-job.ts'
import { plainReport } from './plain-report.ts'
import { AGENT_STOPS, NOT_ACCEPTED } from './stage-run.ts'

export type JobRunModules = JobCourseModules

/**
 * Runs a job and records how it ended, until all of it is written and told. Never throws: every end
 * is an event.
 */
export async function runJob(
  job: LiveJob,
  signal: AbortSignal,
  modules: JobRunModules,
): Promise<void> {
  const { id } = job.state.request
  job.record({ type: 'started' })
  try {
    const question = await carryOut(job, signal, modules)
    job.record(question === undefined ? { type: 'completed' } : question)
  } catch (thrown) {
    if (signal.reason === AGENT_STOPS || signal.reason === NOT_ACCEPTED) return
    job.record(endOf(job, MeshError.from(thrown), signal.aborted))
  } finally {
    modules.results.end(id)
    await job.settled()
  }
}

/** The last event of a job that did not complete. */
function endOf(job: LiveJob, error: MeshError, wasCancelled: boolean) {
  const running = job.state.nodes.find(({ status }) => status === 'running')?.nodeId
  const told = error.details.nodeId
  const nodeId = typeof told === 'string' ? told : running
  const node = nodeId === undefined ? {} : { nodeId }
  if (wasCancelled || error.code === 'interrupted') return { type: 'interrupted', ...node } as const
  return { type: 'failed', error: plainReport(error), ...node } as const
}
