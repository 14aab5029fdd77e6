/** The jobs that wait, in the order in which they will run. */
import type { JobRequest, JobState } from '@comfymesh/protocol/job'
import type { JsonValue } from '@comfymesh/protocol/json'
import { heldBytes } from '@comfymesh/protocol/json-extent'
import { comparePlaces } from '../planning/queue-order.ts'

export interface JobQueue<T> {
  readonly length: number
  /** What the prompts and extra data of all take in memory, about. */
  readonly bytes: number
  list(): readonly T[]
  get(id: string): T | undefined
  add(job: T): void
  /** Takes the next one, past those whose user has a question to answer. */
  next(): T | undefined
  /** Takes one out of the line. */
  remove(id: string): T | undefined
  /** Puts everything in order again after numbers have changed. */
  sort(): void
}

export function createJobQueue<T extends { readonly state: JobState }>(): JobQueue<T> {
  const line: T[] = []
  const jobs = new Map<string, { readonly job: T; readonly bytes: number }>()
  let bytes = 0
  const compare = (a: T, b: T) => comparePlaces(a.state.request, b.state.request)

  /** The first index whose job comes after this one. */
  function placeOf(job: T): number {
    let low = 0
    let high = line.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compare(line[middle]!, job) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  function removeAt(at: number): T | undefined {
    const [job] = line.splice(at, 1)
    if (job === undefined) return undefined
    const { id } = job.state.request
    bytes -= jobs.get(id)?.bytes ?? 0
    jobs.delete(id)
    return job
  }

  return {
    get length() {
      return line.length
    },
    get bytes() {
      return bytes
    },
    list: () => [...line],
    get: (id) => jobs.get(id)?.job,
    add(job) {
      const { request } = job.state
      const entry = { job, bytes: requestBytes(request) }
      line.splice(placeOf(job), 0, job)
      jobs.set(request.id, entry)
      bytes += entry.bytes
    },
    next: () => {
      const at = line.findIndex(({ state }) => state.status !== 'paused')
      return at < 0 ? undefined : removeAt(at)
    },
    remove(id) {
      const entry = jobs.get(id)
      return entry === undefined ? undefined : removeAt(line.indexOf(entry.job))
    },
    sort: () => {
      line.sort(compare)
    },
  }
}

function requestBytes({ prompt, extraData }: JobRequest): number {
  return heldBytes(prompt as unknown as JsonValue) + heldBytes(extraData)
}
