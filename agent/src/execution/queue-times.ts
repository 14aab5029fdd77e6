/** How long the queue will take: learns from every job that ends, and tells what that means. */
import { isFinished, type JobRequest, type JobState } from '@comfymesh/protocol/job'
import { knownTimes } from '../planning/advertised-times.ts'
import { type NodeWork, worksOf } from '../planning/node-work.ts'
import type { PeerOffer } from '../planning/peers.ts'
import {
  estimateJobMs,
  forecastQueue,
  observationsOf,
  remainingJobMs,
} from '../planning/queue-forecast.ts'
import type { LearnedTimesStore } from '../store/learned-times.ts'
import type { JobRunner } from './job-runner.ts'

export interface JobTimes {
  readonly job: JobState
  /** All of it, where it was to begin now; absent where that is not known. */
  readonly estimateMs?: number
  /** Of a job that runs. */
  readonly remainingMs?: number
  /** Of a job that waits; absent also while the queue is paused. */
  readonly startsInMs?: number
}

export interface QueueTimesReport {
  /** Until the queue is empty; absent where that is not known. */
  readonly remainingMs?: number
  /** Jobs that run, then those that wait in their order. */
  readonly jobs: readonly JobTimes[]
}

export interface QueueTimes {
  start(): void
  stop(): void
  report(): QueueTimesReport
}

export interface QueueTimesModules {
  readonly runner: Pick<
    JobRunner,
    'running' | 'pending' | 'pausedAtMs' | 'runningLimit' | 'subscribe'
  >
  readonly times: LearnedTimesStore
  readonly peerId: string
  /** The other peers as they are known now. */
  readonly others: () => readonly PeerOffer[]
  readonly now: () => number
  readonly warn: (message: string, error: unknown) => void
}

export function createQueueTimes(modules: QueueTimesModules): QueueTimes {
  const { runner, times, now } = modules
  /** A prompt never changes, so its work is found out once; a moved job has a new request. */
  const works = new WeakMap<JobRequest['prompt'], readonly NodeWork[]>()
  /** What the job that ended last left in the caches. */
  let lastContents: readonly string[] = []
  let unsubscribe = () => {}

  function workOf({ request: { prompt, outputs } }: JobState): readonly NodeWork[] {
    const work = works.get(prompt) ?? worksOf(prompt, outputs)
    works.set(prompt, work)
    return work
  }

  async function learn(job: JobState): Promise<void> {
    const work = workOf(job)
    const finished = new Set(
      job.nodes.filter((one) => one.status === 'finished').map((one) => one.nodeId),
    )
    lastContents = work.filter(({ nodeId }) => finished.has(nodeId)).map(({ content }) => content)
    await times.learn(observationsOf(job, work), now())
  }

  /** Jobs share results: what one of them has made, those behind it need not make again. */
  function estimates(jobs: readonly JobState[]): (number | undefined)[] {
    const known = new Set(lastContents)
    const others = modules.others().filter(({ absence }) => absence === undefined)
    const learned = knownTimes(times.current(), others)
    const peerIds = [modules.peerId, ...others.map(({ advertisement }) => advertisement.peerId)]
    return jobs.map((job) => {
      const work = workOf(job)
      const estimateMs = estimateJobMs(learned, work, peerIds, known)
      for (const { content } of work) known.add(content)
      return estimateMs
    })
  }

  return {
    start() {
      unsubscribe = runner.subscribe(({ state }) => {
        if (!isFinished(state)) return
        learn(state).catch((error: unknown) => modules.warn('times were not kept', error))
      })
    },
    stop: () => unsubscribe(),
    report() {
      const running = runner.running()
      const jobs = [...running, ...runner.pending()]
      const estimated = estimates(jobs)
      const remaining = running.map((job, index) =>
        job.plan === undefined
          ? estimated[index]
          : remainingJobMs(times.current(), job, workOf(job), now()),
      )
      const pending = estimated.slice(running.length)
      const { remainingMs, startsInMs } = forecastQueue(remaining, pending, runner.runningLimit)
      const isPaused = runner.pausedAtMs() !== undefined
      return {
        ...given('remainingMs', remainingMs),
        jobs: jobs.map((job, index) => ({
          job,
          ...given('estimateMs', estimated[index]),
          ...given('remainingMs', remaining[index]),
          ...given('startsInMs', isPaused ? undefined : startsInMs[index - running.length]),
        })),
      }
    },
  }
}

/** Whole milliseconds under a name; nothing where they are not known. */
function given<K extends string>(name: K, ms: number | undefined): { [name in K]?: number } {
  return (ms === undefined ? {} : { [name]: Math.round(ms) }) as { [name in K]?: number }
}
