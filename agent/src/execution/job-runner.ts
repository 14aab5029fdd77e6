/**
 * Accepts prompts, queues them, runs them in their order and keeps what became of
 * them. Knows nothing of HTTP or ComfyUI's messages; those translate what it tells.
 */
import {
  foldJob,
  isFinished,
  type JobEvent,
  type JobRequest,
  type JobState,
} from '@comfymesh/protocol/job'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import type { Executor } from '../executors/executor.ts'
import { definitionsOf } from '../planning/definitions.ts'
import type { JobStore } from '../store/jobs.ts'
import type { QueueState } from '../store/queue-state.ts'
import { previewAnswer } from './answer-preview.ts'
import { createJobLists, type JobLists } from './job-lists.ts'
import { createJobQueue } from './job-queue.ts'
import { type JobRunModules, runJob } from './job-run.ts'
import { createJobSlots, type JobSlotsModules } from './job-slots.ts'
import { lightened } from './light-request.ts'
import { createLiveJob, type JobUpdate, type LiveJob } from './live-job.ts'
import { type Gathering, nobodyExpected } from './mesh-validation.ts'
import { createQueueEdits, type QueueEdits, type RunningJob } from './queue-edits.ts'
import { createQueueRoom, DEFAULT_QUEUE_LIMIT, MAX_QUEUED_BYTES } from './queue-room.ts'
import { recoverJobs } from './recovery.ts'
import { AGENT_STOPS, NOT_ACCEPTED } from './stage-run.ts'
import { createSubmit, type Submit } from './submissions.ts'

export interface JobRunner extends JobLists, QueueEdits {
  /** Takes up what a former run left unfinished; once, before anything is submitted. */
  recover(): Promise<void>
  /** Begins to work. */
  start(): void
  /** Stops working; jobs that run stay unfinished on disk and go on after a restart. */
  stop(): Promise<void>
  readonly submit: Submit
  /** Jobs that wait, in the order in which they will run; those among them that are paused stay. */
  pending(): readonly JobState[]
  running(): readonly JobState[]
  /** How many jobs wait or run. */
  remaining(): number
  /** How many can work at once: one on each peer. */
  readonly runningLimit: number
  /** Peers came or went: there may be somebody for the next job. */
  reconsider(): void
  /** Since when no further job is started; undefined while the queue is not paused. */
  pausedAtMs(): number | undefined
  /** Lets running jobs end and starts no other, also after a restart. @throws MeshError `storage_failed` */
  pause(): Promise<void>
  /** @throws MeshError `storage_failed` */
  resume(): Promise<void>
  /** Hears when the queue was paused or resumed. @returns the function that ends it. */
  onPaused(listener: () => void): () => void
  /** Cancels the running job of that id, if it runs; every running job when no id is given. */
  interrupt(id?: string): void
  /** Gives memory back as soon as no job runs, before the next one. */
  free(what: FreeRequest): void
  /** The nodes of every peer, with the model and file lists of this moment. */
  definitions(): Promise<NodeDefinitions>
  subscribe(listener: (update: JobUpdate) => void): () => void
}

export interface JobRunnerOptions {
  /** How many jobs may wait; a submission beyond it is refused as `busy`. */
  readonly queueLimit?: number
}

export interface FreeRequest {
  /** Models are closed; what nodes computed stays known. */
  readonly unloadModels: boolean
  /** Models are closed and all results forgotten: the next prompt runs from its beginning. */
  readonly freeMemory: boolean
}

export interface JobRunnerModules extends JobRunModules, JobSlotsModules {
  readonly store: JobStore
  readonly queueState: QueueState
  readonly executor: Pick<Executor, 'fingerprint' | 'validation' | 'prepare' | 'free'>
  /** Other members that may offer more in a moment. */
  readonly gathering?: Gathering
  readonly warn: (message: string, error: unknown) => void
}

/** After these there may be a peer with nothing to do. */
const makeRoom = new Set<JobEvent['type']>(['planned', 'stage-finished', 'paused'])

interface Running extends RunningJob {
  readonly ended: Promise<void>
  /** Where it runs is known, so that the next job can be planned. */
  isPlanned: boolean
}

export function createJobRunner(options: JobRunnerOptions, modules: JobRunnerModules): JobRunner {
  const { store, queueState, now, warn } = modules
  const { queueLimit = DEFAULT_QUEUE_LIMIT } = options
  const slots = createJobSlots(modules)
  const queue = createJobQueue<LiveJob>()
  const limits = { jobs: queueLimit, bytes: MAX_QUEUED_BYTES }
  const running = new Map<string, Running>()
  const listeners = new Set<(update: JobUpdate) => void>()
  let isWorking = false
  let toFree: FreeRequest | undefined
  let freeing: Promise<void> | undefined

  function publish(update: JobUpdate): void {
    const { id } = update.state.request
    const own = running.get(id)
    if (update.event.type === 'planned' && own !== undefined) own.isPlanned = true
    // It holds no place to run any more, and waits where it stood.
    if (update.event.type === 'paused' && running.delete(id)) queue.add(own!.job)
    tell(update)
    if (makeRoom.has(update.event.type)) runWaiting()
  }

  function tell(update: JobUpdate): void {
    for (const listener of listeners) {
      try {
        listener(update)
      } catch (error) {
        warn(`a listener failed on ${update.event.type}`, error)
      }
    }
  }

  const jobModules = { store, now, publish, warn }
  const live = (state: JobState) => createLiveJob(state, jobModules)

  function runWaiting(): void {
    freeWhenIdle()
    while (mayRunAnother()) {
      const job = queue.next()
      if (job === undefined) return
      run(job)
    }
  }

  function mayRunAnother(): boolean {
    const isFreeing = toFree !== undefined || freeing !== undefined
    const isPaused = queueState.pausedAtMs !== undefined
    if (!isWorking || isPaused || isFreeing) return false
    // One after the other, so that each sees what those before it have taken.
    const isPlanning = [...running.values()].some(({ isPlanned }) => !isPlanned)
    return !isPlanning && slots.hasRoom(statesBut())
  }

  /** The jobs that are carried out, besides one. */
  function statesBut(id?: string): JobState[] {
    return [...running.values()]
      .map(({ job }) => job.state)
      .filter(({ request }) => request.id !== id)
  }

  /** As in ComfyUI, between prompts: no other begins before memory was given back. */
  function freeWhenIdle(): void {
    if (toFree === undefined || freeing !== undefined || running.size > 0) return
    const { freeMemory: outputs } = toFree
    toFree = undefined
    if (outputs) modules.results.forgetAll()
    freeing = modules.executor
      .free({ outputs })
      .catch((error: unknown) => warn('memory could not be given back', error))
      .finally(() => {
        freeing = undefined
        runWaiting()
      })
  }

  function run(job: LiveJob): void {
    const { id } = job.state.request
    const controller = new AbortController()
    const offers = () => slots.offersBehind(statesBut(id))
    const ended = runJob(job, controller.signal, { ...modules, offers })
      .catch((error: unknown) => warn(`job ${id} ended in a bug`, error))
      .finally(() => {
        // A client may have submitted another job under the same id meanwhile.
        if (running.get(id)?.job === job) running.delete(id)
        runWaiting()
      })
    running.set(id, { job, controller, ended, isPlanned: false })
  }

  function runningJobs(): JobState[] {
    const states = [...running.values()].map(({ job }) => job.known)
    return states.filter((state) => !isFinished(state))
  }

  function unfinished(id: string): JobState | undefined {
    return queue.get(id)?.state ?? runningJobs().find(({ request }) => request.id === id)
  }

  /** The job may begin while the disk takes it; nothing of it is told before. */
  async function accept(request: JobRequest): Promise<JobState> {
    const stamp = { jobId: request.id, atMs: request.createdAtMs }
    const whole = { ...stamp, type: 'accepted', request } as const
    // Whoever remembers the event or the state from here on remembers little.
    const event = { ...whole, request: lightened(request) }
    const state = foldJob(undefined, event)
    const accepted = store
      .append({ state: foldJob(undefined, whole), event: whole })
      .then(() => publish({ event, state }))
    queue.add(createLiveJob(state, jobModules, accepted))
    // The disk first: a plan takes longer than to begin the write.
    setImmediate(runWaiting)
    try {
      await accepted
    } catch (error) {
      await takeBack(request.id)
      throw error
    }
    return state
  }

  /** Nothing of it is left then, so that it may be submitted again. */
  async function takeBack(id: string): Promise<void> {
    queue.remove(id)
    const own = running.get(id)
    own?.controller.abort(NOT_ACCEPTED)
    await own?.ended
  }

  const pending = () => queue.list().map(({ state }) => state)
  const definitions = async () => definitionsOf(await modules.offers())

  return {
    ...createJobLists({
      store,
      unfinished: () => [...runningJobs(), ...pending()],
      unfinishedJob: unfinished,
    }),
    ...createQueueEdits({
      ...jobModules,
      queue,
      running: (id) => running.get(id),
      nextNumber: store.nextNumber,
      reconsider: runWaiting,
      planAfter: (state, answer) =>
        previewAnswer(state, answer, { ...modules, offers: () => slots.offersBehind(statesBut()) }),
    }),
    definitions,
    get runningLimit() {
      return slots.peers()
    },
    reconsider: runWaiting,
    submit: createSubmit({
      ...modules,
      definitions,
      gathering: modules.gathering ?? nobodyExpected,
      accept,
      reservePlace: createQueueRoom(limits, () => queue),
      isUnfinished: (id) => unfinished(id) !== undefined,
    }),
    async recover() {
      for (const state of await recoverJobs(store, now))
        queue.add(live({ ...state, request: lightened(state.request) }))
    },
    start() {
      isWorking = true
      runWaiting()
    },
    async stop() {
      isWorking = false
      const jobs = [...running.values()]
      for (const { controller } of jobs) controller.abort(AGENT_STOPS)
      await Promise.all(jobs.map(({ ended }) => ended))
    },
    pending,
    running: runningJobs,
    remaining: () => queue.length + runningJobs().length,
    pausedAtMs: () => queueState.pausedAtMs,
    async pause() {
      if (queueState.pausedAtMs === undefined) await queueState.setPaused(now())
    },
    async resume() {
      await queueState.setPaused(undefined)
      runWaiting()
    },
    onPaused: queueState.onPaused,
    interrupt(id) {
      const jobs = id === undefined ? [...running.values()] : [running.get(id)]
      for (const job of jobs) job?.controller.abort()
    },
    free({ unloadModels, freeMemory }) {
      if (!unloadModels && !freeMemory) return
      toFree = { unloadModels: true, freeMemory: freeMemory || toFree?.freeMemory === true }
      runWaiting()
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
