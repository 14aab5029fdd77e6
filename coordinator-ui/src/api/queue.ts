/** The queue, as the agent's /v1/queue tells it and changes it. */
import { get, post } from './http.ts'

export interface QueuedJob {
  readonly id: string
  readonly status: 'queued' | 'paused' | 'running'
  readonly priority: number
  readonly createdAtMs: number
  /** How long it will take, and until when it waits; null before anything was learned. */
  readonly estimateMs?: number | null
  readonly startsInMs?: number | null
}

export interface Queue {
  readonly paused: boolean
  readonly queued: number
  readonly running: number
  /** `10 queued, 1 running, about 3 min 50 s`. */
  readonly summary?: string
  readonly jobs: readonly QueuedJob[]
}

export type MoveTarget =
  | { readonly to: 'front' | 'end' }
  | { readonly before: string }
  | { readonly after: string }

export const readQueue = (signal?: AbortSignal) => get<Queue>('v1/queue', signal)
export const pauseQueue = () => post('v1/queue/pause')
export const resumeQueue = () => post('v1/queue/resume')
export const clearQueue = () => post('v1/queue/clear')
export const cancelJobs = (ids: readonly string[]) => post('v1/queue/cancel', { ids })
export const moveJobs = (ids: readonly string[], target: MoveTarget) =>
  post('v1/queue/move', { ids, target })
