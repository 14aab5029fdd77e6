/** How much may wait: a number of jobs, and the memory that their prompts take. */
import { MeshError } from '@comfymesh/protocol/errors'

export interface QueueLimits {
  /** How many jobs may wait. */
  readonly jobs: number
  /** What their prompts and extra data may take together, as `heldBytes` counts it. */
  readonly bytes: number
}

/** A night's work for many machines. */
export const DEFAULT_QUEUE_LIMIT = 10_000

/**
 * Ten thousand jobs with the workflow of a picture in each (40 KB). They are held compressed, but
 * clients that take in the whole answer of ComfyUI's GET /queue hold all of it at once.
 */
export const MAX_QUEUED_BYTES = 400 * 2 ** 20

/** What waits. */
export interface Waiting {
  readonly length: number
  readonly bytes: number
}

/**
 * Keeps a place for a job that is on its way into the queue.
 * @returns the function that gives the place back.
 * @throws MeshError `busy` when there is none. Whatever its size, one that would wait alone has one.
 */
export type ReservePlace = (bytes: number) => () => void

export function createQueueRoom(limits: QueueLimits, waiting: () => Waiting): ReservePlace {
  let reservedJobs = 0
  let reservedBytes = 0
  return (bytes) => {
    const queue = waiting()
    if (queue.length + reservedJobs >= limits.jobs) throw tooMany(limits.jobs)
    const heldBytes = queue.bytes + reservedBytes
    if (heldBytes > 0 && heldBytes + bytes > limits.bytes) throw tooLarge(limits.bytes)
    reservedJobs += 1
    reservedBytes += bytes
    return () => {
      reservedJobs -= 1
      reservedBytes -= bytes
    }
  }
}

function tooMany(queueLimit: number): MeshError {
  const message = `The queue is full: ${queueLimit} jobs wait already. Wait until some have ended, cancel some, or start the agent with a higher --queue-limit.`
  return new MeshError('busy', message, { details: { queueLimit } })
}

function tooLarge(maxBytes: number): MeshError {
  const message = `The queue is full: with this one the prompts that wait would take more than ${Math.floor(maxBytes / 2 ** 20)} MB. Wait until some have ended, or cancel some. Pictures inside of prompts are what makes them large: upload them instead.`
  return new MeshError('busy', message, { details: { maxBytes } })
}
