/** The jobs that wait, in the order in which they will run. */
import type { JobState } from '@comfymesh/protocol/job'
import { comparePlaces } from '../planning/queue-order.ts'

export interface JobQueue<T> {
  readonly length: number
  list(): readonly T[]
  get(id: string): T | undefined
  add(job: T): void
  /** Takes the next one. */
  next(): T | undefined
  /** Takes one out of the line. */
  remove(id: string): T | undefined
  /** Puts everything in order again after numbers have changed. */
  sort(): void
}

export function createJobQueue<T extends { readonly state: JobState }>(): JobQueue<T> {
  const line: T[] = []
  const jobs = new Map<string, T>()
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
    if (job !== undefined) jobs.delete(job.state.request.id)
    return job
  }

  return {
    get length() {
      return line.length
    },
    list: () => [...line],
    get: (id) => jobs.get(id),
    add(job) {
      line.splice(placeOf(job), 0, job)
      jobs.set(job.state.request.id, job)
    },
    next: () => removeAt(0),
    remove(id) {
      const job = jobs.get(id)
      return job === undefined ? undefined : removeAt(line.indexOf(job))
    },
    sort: () => {
      line.sort(compare)
    },
  }
}
