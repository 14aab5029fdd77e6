/**
 * Accepts prompts, queues them, runs one after the other and keeps what became of
 * them. Knows nothing of HTTP or ComfyUI's messages; those translate what it tells.
 */
import { randomUUID } from 'node:crypto'
import { foldJob, isFinished, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { NodeDefinitions, NodeId } from '@comfymesh/protocol/workflow'
import type { Executor } from '../executors/executor.ts'
import { definitionsOf } from '../planning/place.ts'
import type { NodeErrors, Problem } from '../planning/problem.ts'
import { validatePrompt } from '../planning/validate.ts'
import type { JobStore } from '../store/jobs.ts'
import { createJobQueue } from './job-queue.ts'
import { AGENT_STOPS, type JobRunModules, runJob } from './job-run.ts'
import { createLiveJob, type JobUpdate, type LiveJob } from './live-job.ts'
import { recoverJobs } from './recovery.ts'

/** A prompt as a client sends it; what is wrong with it is said in ComfyUI's words. */
export interface Submission {
  readonly prompt: JsonValue | undefined
  readonly extraData: JsonObject
  /** A canonical lowercase UUID; made here when the client names none. */
  readonly id?: JsonValue
  /** ComfyUI's `number`: a place in the queue instead of the next one. */
  readonly number?: number
  readonly front?: boolean
  /** Only these output nodes (ComfyUI's partial_execution_targets). */
  readonly targets?: readonly NodeId[]
}

export type SubmissionResult =
  | { readonly accepted: true; readonly job: JobState; readonly nodeErrors: NodeErrors }
  | { readonly accepted: false; readonly error: Problem; readonly nodeErrors: NodeErrors }

export interface JobRunner {
  /** Takes up what a former run left unfinished; once, before anything is submitted. */
  recover(): Promise<void>
  /** Begins to work. */
  start(): void
  /** Stops working; a job that runs stays unfinished on disk and goes on after a restart. */
  stop(): Promise<void>
  /** When it resolves to an accepted job, that job is on disk. */
  submit(submission: Submission): Promise<SubmissionResult>
  /** Jobs that wait, in the order in which they will run. */
  pending(): readonly JobState[]
  running(): readonly JobState[]
  /** Cancels jobs that have not begun. */
  cancelPending(ids: readonly string[] | 'all'): Promise<void>
  /** Cancels the job that runs, if it is that one; any when no id is given. */
  interrupt(id?: string): void
  /** Finished jobs that had begun, the oldest first. */
  history(options?: { readonly last?: number }): Promise<JobState[]>
  job(id: string): Promise<JobState | undefined>
  forget(ids: readonly string[] | 'all'): Promise<void>
  /** The nodes of every peer, with the model and file lists of this moment. */
  definitions(): Promise<NodeDefinitions>
  subscribe(listener: (update: JobUpdate) => void): () => void
}

export interface JobRunnerModules extends JobRunModules {
  readonly store: JobStore
  readonly executor: Pick<Executor, 'fingerprint' | 'validation'>
  readonly warn: (message: string, error: unknown) => void
}

interface Running {
  readonly job: LiveJob
  readonly controller: AbortController
  readonly ended: Promise<void>
}

export function createJobRunner(modules: JobRunnerModules): JobRunner {
  const { store, now, warn } = modules
  const queue = createJobQueue<LiveJob>()
  const listeners = new Set<(update: JobUpdate) => void>()
  /** Ids on their way through validation and onto the disk. */
  const submitting = new Set<string>()
  let running: Running | undefined
  let isWorking = false

  function publish(update: JobUpdate): void {
    for (const listener of listeners) {
      try {
        listener(update)
      } catch (error) {
        warn(`a listener failed on ${update.event.type}`, error)
      }
    }
  }

  const live = (state: JobState) => createLiveJob(state, { store, now, publish, warn })

  function runNext(): void {
    if (!isWorking || running !== undefined) return
    const job = queue.next()
    if (job === undefined) return
    const controller = new AbortController()
    const ended = runJob(job, controller.signal, modules)
      .catch((error: unknown) => warn(`job ${job.state.request.id} ended in a bug`, error))
      .finally(() => {
        running = undefined
        runNext()
      })
    running = { job, controller, ended }
  }

  async function definitions(): Promise<NodeDefinitions> {
    return definitionsOf(await modules.offers())
  }

  function unfinished(id: string): LiveJob | undefined {
    const jobs = running === undefined ? queue.list() : [running.job, ...queue.list()]
    return jobs.find(({ state }) => state.request.id === id && !isFinished(state))
  }

  async function accept(event: Extract<JobEvent, { type: 'accepted' }>): Promise<JobState> {
    const state = foldJob(undefined, event)
    // A client may run a prompt again under its old id; the new job takes the old one's place.
    if ((await store.finished(event.jobId)) !== undefined) await store.forget([event.jobId])
    await store.append(state, event)
    queue.add(live(state))
    publish({ event, state })
    runNext()
    return state
  }

  async function validateAndAccept(
    submission: Submission,
    given: JsonValue,
    id: string,
    number: number,
  ): Promise<SubmissionResult> {
    const validation = await validatePrompt({
      prompt: given,
      definitions: await definitions(),
      custom: (classType) => modules.executor.validation(classType),
      ...(submission.targets && { targets: submission.targets }),
    })
    if (!validation.valid) return { ...validation, accepted: false }
    const { prompt, outputs, nodeErrors } = validation
    const createdAtMs = now()
    const extraData = { ...submission.extraData, create_time: createdAtMs }
    const request = { id, number, prompt, extraData, outputs: [...outputs], createdAtMs }
    const job = await accept({ type: 'accepted', jobId: id, atMs: createdAtMs, request })
    return { accepted: true, job, nodeErrors }
  }

  return {
    definitions,
    async recover() {
      for (const state of await recoverJobs(store, now)) queue.add(live(state))
    },
    start() {
      isWorking = true
      runNext()
    },
    async stop() {
      isWorking = false
      running?.controller.abort(AGENT_STOPS)
      await running?.ended
    },
    async submit(submission) {
      const number = submission.number ?? (await takeNumber(store, submission.front ?? false))
      const id = submission.id ?? randomUUID()
      if (submission.prompt === undefined) return refused(refusals.noPrompt)
      if (typeof id !== 'string' || !UUID.test(id)) return refused(refusals.badId)
      if (submitting.has(id) || unfinished(id)) return refused(refusals.idInUse)
      submitting.add(id)
      try {
        return await validateAndAccept(submission, submission.prompt, id, number)
      } finally {
        submitting.delete(id)
      }
    },
    pending: () => queue.list().map(({ state }) => state),
    running: () => (running && !isFinished(running.job.state) ? [running.job.state] : []),
    async cancelPending(ids) {
      const chosen = ids === 'all' ? queue.list().map(({ state }) => state.request.id) : ids
      // All leave the queue before the first is written down, so that none begins meanwhile.
      const jobs = chosen.map((id) => queue.remove(id))
      for (const job of jobs) await job?.record({ type: 'interrupted' })
    },
    interrupt(id) {
      if (id === undefined || running?.job.state.request.id === id) running?.controller.abort()
    },
    history: (options) => store.history(options),
    job: async (id) => unfinished(id)?.state ?? (await store.finished(id)),
    forget: (ids) => store.forget(ids),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** ComfyUI counts every prompt; one for the front gets its number negated. */
async function takeNumber(store: JobStore, front: boolean): Promise<number> {
  const number = await store.nextNumber()
  return front ? -number : number
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Why a submission is not even validated: type, message and details as clients know them. */
const refusals = {
  noPrompt: ['no_prompt', 'No prompt provided', 'No prompt provided'],
  badId: [
    'invalid_prompt_id',
    'prompt_id must be a valid UUID',
    'prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the server generate one',
  ],
  idInUse: [
    'invalid_prompt_id',
    'prompt_id is in use',
    'a job with this prompt_id is queued or running; wait until it ended, or omit the id to let the server generate one',
  ],
} as const

function refused([
  type,
  message,
  details,
]: (typeof refusals)[keyof typeof refusals]): SubmissionResult {
  return { accepted: false, error: { type, message, details, extra_info: {} }, nodeErrors: {} }
}
