/**
 * When jobs will be done, from what is learned of their nodes. What is not known stays
 * unknown: a guess would be believed.
 */
import type { JobState } from '@comfymesh/protocol/job'
import type { NodeId } from '@comfymesh/protocol/workflow'
import { estimateNodeMs, type LearnedTimes, type TimeObservation } from './learned-times.ts'
import type { NodeWork } from './node-work.ts'

/** What the nodes of a job took that ran, to be learned. */
export function observationsOf(job: JobState, works: readonly NodeWork[]): TimeObservation[] {
  return works.flatMap(({ nodeId, classType, model, work }) => {
    const node = job.nodes.find((one) => one.nodeId === nodeId)
    if (node?.status !== 'finished' || node.cached || node.elapsedMs === undefined) return []
    return [{ peerId: node.peerId, classType, model, work, elapsedMs: node.elapsedMs }]
  })
}

/**
 * How long a job will take on the peer that has it done first.
 * @param known contents of nodes whose results are there already.
 * @returns undefined where no peer has run all of its nodes before.
 */
export function estimateJobMs(
  times: LearnedTimes,
  works: readonly NodeWork[],
  peerIds: readonly string[],
  known: ReadonlySet<string>,
): number | undefined {
  const left = works.filter(({ content }) => !known.has(content))
  const sums = peerIds.map((peerId) =>
    sum(left.map((node) => estimateNodeMs(times, { ...node, peerId }))),
  )
  const possible = sums.filter((ms) => ms !== undefined)
  return possible.length === 0 ? undefined : Math.min(...possible)
}

/** How long a job that runs will still take; undefined where that is not known. */
export function remainingJobMs(
  times: LearnedTimes,
  job: JobState,
  works: readonly NodeWork[],
  nowMs: number,
): number | undefined {
  if (job.plan === undefined) return undefined
  const peers = new Map<NodeId, string>()
  for (const { stageId, peerId } of job.plan.placements) {
    const stage = job.plan.stages.find(({ id }) => id === stageId)
    for (const { id } of stage?.nodes ?? []) peers.set(id, peerId)
  }
  const cached = new Set(job.cached?.nodeIds)
  return sum(
    works.map((node) => {
      const peerId = peers.get(node.nodeId)
      if (peerId === undefined || cached.has(node.nodeId)) return 0
      const state = job.nodes.find(({ nodeId }) => nodeId === node.nodeId)
      const wholeMs = estimateNodeMs(times, { ...node, peerId })
      return state === undefined ? wholeMs : remainingNodeMs(state, wholeMs, nowMs)
    }),
  )
}

function remainingNodeMs(
  { status, value, max, startedAtMs }: JobState['nodes'][number],
  wholeMs: number | undefined,
  nowMs: number,
): number | undefined {
  if (status === 'finished') return 0
  const done = value / max
  const elapsedMs = Math.max(0, nowMs - (startedAtMs ?? nowMs))
  if (wholeMs !== undefined)
    return done > 0 ? wholeMs * (1 - done) : Math.max(0, wholeMs - elapsedMs)
  return done > 0 ? (elapsedMs * (1 - done)) / done : undefined
}

export interface QueueForecast {
  /** Until nothing runs or waits any more. */
  readonly remainingMs: number | undefined
  /** For each job that waits, in their order. */
  readonly startsInMs: readonly (number | undefined)[]
}

/**
 * @param running how long each running job still takes.
 * @param pending how long each waiting job will take, in their order.
 * @param runningLimit how many run at once.
 */
export function forecastQueue(
  running: readonly (number | undefined)[],
  pending: readonly (number | undefined)[],
  runningLimit: number,
): QueueForecast {
  const idle = Array.from({ length: Math.max(0, runningLimit - running.length) }, () => 0)
  /** When each place becomes free; unknown ones count as never. */
  const free = [...running, ...idle].map((ms) => ms ?? Number.POSITIVE_INFINITY)
  const known = (ms: number) => (Number.isFinite(ms) ? ms : undefined)
  const startsInMs = pending.map((ms) => {
    const start = Math.min(...free)
    free[free.indexOf(start)] = start + (ms ?? Number.POSITIVE_INFINITY)
    return known(start)
  })
  return { startsInMs, remainingMs: known(Math.max(0, ...free)) }
}

/** Unknown when one of them is. */
function sum(values: readonly (number | undefined)[]): number | undefined {
  return values.reduce<number | undefined>(
    (total, value) => (total === undefined || value === undefined ? undefined : total + value),
    0,
  )
}
