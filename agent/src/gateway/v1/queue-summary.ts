/** The queue in a line: `10 queued, 1 running, about 3 min 50 s`. */
import { duration } from '../../base/duration.ts'

export interface QueueFacts {
  readonly paused: boolean
  readonly queued: number
  readonly running: number
  /** Until the queue is empty; null where that is not known. */
  readonly remainingMs: number | null
}

/** Nobody plans by less than a second. */
const LEAST_MS = 1000

export function queueSummary({ paused, queued, running, remainingMs }: QueueFacts): string {
  const time =
    remainingMs === null
      ? 'no estimate yet'
      : `about ${duration(Math.max(LEAST_MS, Math.round(remainingMs / 1000) * 1000))}`
  return [
    ...(paused ? ['paused'] : []),
    `${queued} queued`,
    `${running} running`,
    ...(queued + running > 0 ? [time] : []),
  ].join(', ')
}
