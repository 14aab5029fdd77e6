/** When each node of a job ran, put together from the job's events. Pure. */
import type { JobEvent, JobState } from '@comfymesh/protocol/job'

/** A moment of a node's progress. */
interface Progress {
  readonly value: number
  readonly atMs: number
}

export interface NodeTrace {
  readonly nodeId: string
  readonly startedAtMs: number
  readonly finishedAtMs?: number
  /** True when the result was known already. */
  readonly cached: boolean
  /** The first and the last report of steps, of those that a node with steps makes. */
  readonly steps?: { readonly first: Progress; readonly last: Progress; readonly max: number }
}

/** In the order in which the nodes began. */
export type JobTrace = readonly NodeTrace[]

/** A job as it is, and when its nodes ran. */
export interface FollowedJob {
  readonly state: JobState
  readonly trace: JobTrace
}

/** Of nodes that began before anybody listened: when, but not how fast their steps were. */
export function tracedSoFar({ nodes }: JobState): JobTrace {
  return nodes.flatMap(({ nodeId, status, value, max, cached, startedAtMs, elapsedMs = 0 }) => {
    if (startedAtMs === undefined) return []
    const endedAtMs = startedAtMs + elapsedMs
    const step = { value, atMs: endedAtMs }
    return {
      ...{ nodeId, startedAtMs, cached },
      ...(status === 'finished' && { finishedAtMs: endedAtMs }),
      ...(max > 1 && { steps: { first: step, last: step, max } }),
    }
  })
}

/** The trace after an event that led to this state of the job. */
export function traceJob(trace: JobTrace, event: JobEvent, { nodes }: JobState): JobTrace {
  switch (event.type) {
    case 'started':
    case 'requeued':
      return []
    case 'planned':
      // What runs again is traced anew.
      return trace.filter(({ nodeId }) => nodes.some((node) => node.nodeId === nodeId))
    case 'node-started':
      return [...trace, { nodeId: event.nodeId, startedAtMs: event.atMs, cached: false }]
    case 'node-progress':
      return change(trace, event.nodeId, (node) => {
        const last = { value: event.value, atMs: event.atMs }
        return { ...node, steps: { first: node.steps?.first ?? last, last, max: event.max } }
      })
    case 'node-finished': {
      const { nodeId, cached, atMs: finishedAtMs, elapsedMs } = event
      if (!trace.some((node) => node.nodeId === nodeId)) {
        return [...trace, { nodeId, startedAtMs: finishedAtMs - elapsedMs, finishedAtMs, cached }]
      }
      return change(trace, nodeId, (node) => ({ ...node, finishedAtMs, cached }))
    }
    default:
      return trace
  }
}

const change = (trace: JobTrace, nodeId: string, update: (node: NodeTrace) => NodeTrace) =>
  trace.map((node) => (node.nodeId === nodeId ? update(node) : node))

/** Steps a second between the first and the last report; undefined for fewer than two. */
export function stepsPerSecond({ steps }: NodeTrace): number | undefined {
  if (steps === undefined) return undefined
  const count = steps.last.value - steps.first.value
  const elapsedMs = steps.last.atMs - steps.first.atMs
  return count > 0 && elapsedMs > 0 ? (count * 1000) / elapsedMs : undefined
}

/** What passed before the first step began: the model was opened. Undefined without steps. */
export function preparationMs(node: NodeTrace): number | undefined {
  const rate = stepsPerSecond(node)
  if (node.steps === undefined || rate === undefined) return undefined
  const { first } = node.steps
  return Math.max(0, first.atMs - node.startedAtMs - (first.value * 1000) / rate)
}
