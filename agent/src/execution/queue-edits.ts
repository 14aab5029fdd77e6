/** What users do to jobs: order those that wait, answer for them, cancel them wherever they are. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { JobAnswer, JobState } from '@comfymesh/protocol/job'
import type { Plan } from '@comfymesh/protocol/plan'
import {
  movedPlaces,
  prioritisedPlace,
  type QueuePlace,
  type QueueTarget,
} from '../planning/queue-order.ts'
import type { JobQueue } from './job-queue.ts'
import { type LiveJob, type LiveJobModules, recordAll } from './live-job.ts'

export interface QueueEdits {
  /** Moves jobs that wait. @throws MeshError `not_found` when one of those named does not wait. */
  move(ids: readonly string[], target: QueueTarget): Promise<void>
  /** Gives jobs that wait a priority, see planning/queue-order.ts. @throws MeshError `not_found` */
  prioritise(ids: readonly string[], priority: number): Promise<void>
  /**
   * What the user says to the question of a paused job.
   * @throws MeshError `not_found` when no job of that id waits for an answer.
   */
  answer(id: string, answer: JobAnswer): Promise<void>
  /**
   * The plan by which a paused job would go on after that answer.
   * @throws MeshError `not_found` as `answer`; otherwise as `previewAnswer`.
   */
  previewAnswer(id: string, answer: Exclude<JobAnswer, 'cancel'>): Promise<Plan>
  /**
   * Cancels jobs that wait, are paused or run.
   * @returns those of them that had not ended.
   */
  cancel(ids: readonly string[]): Promise<string[]>
  /** Cancels jobs that have not begun, and paused ones. */
  cancelPending(ids: readonly string[] | 'all'): Promise<void>
}

export interface RunningJob {
  readonly job: LiveJob
  readonly controller: AbortController
}

export interface QueueEditsModules extends LiveJobModules {
  readonly queue: JobQueue<LiveJob>
  /** The job of that id that is carried out, until its end or its question is told. */
  readonly running: (id: string) => RunningJob | undefined
  /** See JobStore.nextNumber. */
  readonly nextNumber: () => number
  /** A job that waits may run by now. */
  readonly reconsider: () => void
  readonly planAfter: (paused: JobState, answer: Exclude<JobAnswer, 'cancel'>) => Promise<Plan>
}

export function createQueueEdits(modules: QueueEditsModules): QueueEdits {
  const { queue, running } = modules

  function waiting(id: string): LiveJob {
    const job = queue.get(id)
    if (job === undefined) throw notWaiting(id)
    return job
  }

  function paused(id: string): LiveJob {
    const job = queue.get(id)
    if (job?.state.status !== 'paused') throw notPaused(id)
    return job
  }

  async function reorder(places: readonly QueuePlace[]): Promise<void> {
    const changes = places.map(({ id, number }) => {
      return { job: waiting(id), change: { type: 'reordered', number } as const }
    })
    const told = recordAll(changes, modules)
    // In the same tick, so that no job begins by its old place.
    queue.sort()
    await told
  }

  async function cancelPending(ids: readonly string[]): Promise<void> {
    // All leave the queue before the first is written down, so that none begins meanwhile.
    const jobs = ids.flatMap((id) => queue.remove(id) ?? [])
    await recordAll(
      jobs.map((job) => ({ job, change: { type: 'interrupted' } })),
      modules,
    )
  }

  return {
    async move(ids, target) {
      const fresh = modules.nextNumber()
      for (const id of ids) waiting(id)
      const line = queue.list().map(({ state }) => state.request)
      const places = movedPlaces(line, [...new Set(ids)], target, fresh)
      if (places === undefined) throw notWaiting('to' in target ? '' : besideOf(target))
      await reorder(places)
    },
    async prioritise(ids, priority) {
      const places = ids.map((id) => prioritisedPlace(waiting(id).state.request, priority))
      await reorder(places)
    },
    async previewAnswer(id, answer) {
      return modules.planAfter(paused(id).state, answer)
    },
    async answer(id, answer) {
      const job = paused(id)
      const said = { type: 'answered', answer } as const
      if (answer === 'cancel') queue.remove(id)
      const changes = answer === 'cancel' ? [said, { type: 'interrupted' } as const] : [said]
      await recordAll(
        changes.map((change) => ({ job, change })),
        modules,
      )
      modules.reconsider()
    },
    async cancel(ids) {
      const named = [...new Set(ids)]
      // What has stopped by itself goes to its place first: the history, or the queue with a question.
      const stopping = named.flatMap((id) => running(id) ?? []).filter(({ job }) => !isRunning(job))
      await Promise.all(stopping.map(({ job }) => job.settled()))
      const run = named.filter((id) => isRunning(running(id)?.job))
      const waiting = named.filter((id) => queue.get(id) !== undefined)
      for (const id of run) running(id)!.controller.abort()
      await cancelPending(waiting)
      return [...run, ...waiting]
    },
    cancelPending: (ids) =>
      cancelPending(ids === 'all' ? queue.list().map(({ state }) => state.request.id) : ids),
  }
}

function isRunning(job: LiveJob | undefined): boolean {
  return job?.state.status === 'running'
}

function besideOf(target: Exclude<QueueTarget, { to: string }>): string {
  return 'before' in target ? target.before : target.after
}

function notPaused(id: string): MeshError {
  const message = `Job ${id} does not wait for an answer. See GET /v1/jobs?status=paused.`
  return new MeshError('not_found', message, { details: { id } })
}

function notWaiting(id: string): MeshError {
  const message = `Job ${id} does not wait in the queue: it runs, has ended, or never was. See GET /v1/queue.`
  return new MeshError('not_found', message, { details: { id } })
}
