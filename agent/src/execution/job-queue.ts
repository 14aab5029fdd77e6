/** The jobs that wait, in ComfyUI's order: lowest number first, then lowest id. */
import type { JobState } from '@comfymesh/protocol/job'

/** Where a job stands: numbers go up, `front` makes them negative. */
export function compareJobs(a: JobState, b: JobState): number {
  if (a.request.number !== b.request.number) return a.request.number - b.request.number
  return a.request.id < b.request.id ? -1 : 1
}

export interface JobQueue<T> {
  readonly length: number
  /** In the order in which they will run. */
  list(): readonly T[]
  add(job: T): void
  /** Takes the next one. */
  next(): T | undefined
  /** Takes one out of the line. */
  remove(id: string): T | undefined
}

export function createJobQueue<T extends { readonly state: JobState }>(): JobQueue<T> {
  const jobs: T[] = []

  /** The first index whose job comes after this one. */
  function placeOf(job: T): number {
    let low = 0
    let high = jobs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareJobs(jobs[middle]!.state, job.state) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  return {
    get length() {
      return jobs.length
    },
    list: () => [...jobs],
    add: (job) => {
      jobs.splice(placeOf(job), 0, job)
    },
    next: () => jobs.shift(),
    remove: (id) => {
      const at = jobs.findIndex(({ state }) => state.request.id === id)
      return at < 0 ? undefined : jobs.splice(at, 1)[0]
    },
  }
}
