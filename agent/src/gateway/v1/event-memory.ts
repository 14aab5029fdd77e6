/**
 * The last events of all jobs, so that a client that lost its connection can hear what it
 * missed. As much as memory allows, and nothing of a former run of the agent.
 */
import { randomUUID } from 'node:crypto'
import type { JobEvent } from '@comfymesh/protocol/job'
import { stringifyJson } from '@comfymesh/protocol/json'
import type { JobRunner } from '../../execution/job-runner.ts'

export interface RememberedEvent {
  readonly id: string
  readonly event: JobEvent
}

export interface EventMemory {
  /**
   * Hears every event from now on.
   * @returns the function that ends it.
   */
  listen(listener: (event: RememberedEvent) => void): () => void
  /** What followed the event of this id; undefined when that is not known any more. */
  since(id: string): readonly RememberedEvent[] | undefined
  /** What is remembered of a job, the oldest first. */
  ofJob(jobId: string): JobEvent[]
  close(): void
}

/** An evening of pictures; a thousand prompts with their workflows. */
const LIMITS = { events: 10_000, bytes: 32 * 1024 * 1024 }

export function createEventMemory(
  { runner }: { readonly runner: Pick<JobRunner, 'subscribe'> },
  limits: typeof LIMITS = LIMITS,
): EventMemory {
  /** Tells the events of this run from those of another. */
  const run = randomUUID().slice(0, 8)
  const remembered: { readonly event: RememberedEvent; readonly bytes: number }[] = []
  const listeners = new Set<(event: RememberedEvent) => void>()
  let forgotten = 0
  let bytes = 0

  const unsubscribe = runner.subscribe(({ event: happened }) => {
    const event = { id: `${run}-${forgotten + remembered.length}`, event: happened }
    const entry = { event, bytes: stringifyJson(happened).length }
    remembered.push(entry)
    bytes += entry.bytes
    while (remembered.length > limits.events || bytes > limits.bytes) {
      bytes -= remembered.shift()!.bytes
      forgotten++
    }
    for (const listener of listeners) listener(event)
  })

  return {
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    since(id) {
      const [, ofRun, number] = /^(\w+)-(\d+)$/.exec(id) ?? []
      const next = Number(number) + 1 - forgotten
      if (ofRun !== run || next < 0 || next > remembered.length) return undefined
      return remembered.slice(next).map(({ event }) => event)
    },
    ofJob: (jobId) =>
      remembered.flatMap(({ event: { event } }) => (event.jobId === jobId ? [event] : [])),
    close: unsubscribe,
  }
}
