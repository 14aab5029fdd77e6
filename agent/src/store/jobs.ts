/**
 * Jobs on disk. The events of an unfinished job are kept one by one, so that a
 * restart can fold them; when it ends they are replaced by the state they came to.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import {
  foldJob,
  isFinished,
  type JobEvent,
  type JobState,
  jobEventSchema,
} from '@comfymesh/protocol/job'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { Database } from './database.ts'

/** How many finished jobs are remembered: ComfyUI's number. */
const MAX_FINISHED = 10_000

export interface JobStore {
  /**
   * Writes an event down; when it returned, a crash of the process cannot undo it. The end
   * of a job that the disk refuses is known until the process ends, and then the job runs again.
   * @throws MeshError `storage_failed`
   */
  append(state: JobState, event: JobEvent): Promise<void>
  /** The states of all jobs that have not ended, by folding their events. */
  unfinished(): Promise<JobState[]>
  finished(jobId: string): Promise<JobState | undefined>
  /** Finished jobs that had begun, the oldest first; `last` keeps the newest ones only. */
  history(options?: { readonly last?: number }): Promise<JobState[]>
  forget(jobIds: readonly string[] | 'all'): Promise<void>
  /**
   * Takes the next number of ComfyUI's queue counter, which never goes back.
   * @throws MeshError `storage_failed`
   */
  nextNumber(): Promise<number>
}

type Write =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'del'; readonly key: string }

const COUNTER_KEY = 'counter'
/** In the place in history of a job that ended before it had begun. */
const NEVER_BEGAN = 'never began'
/** Sorts after every character that an id or a number can hold. */
const END = '\uffff'
const HISTORY = { gt: 'history/', lt: `history/${END}` }

export async function openJobStore(database: Database): Promise<JobStore> {
  const { append, unfinished } = eventLog(database)
  let counter = Number((await database.get(COUNTER_KEY)) ?? 0)
  let remembered = (await historyKeys()).length
  /** Finished jobs whose end the disk refused. */
  const unwritten = new Map<string, JobState>()

  async function finished(jobId: string): Promise<JobState | undefined> {
    if (unwritten.has(jobId)) return unwritten.get(jobId)
    const text = await database.get(jobKey(jobId))
    return text === undefined ? undefined : parseState(text)
  }

  async function historyKeys(): Promise<string[]> {
    return database.keys(HISTORY).all()
  }

  async function newest(count: number): Promise<string[]> {
    const keys: string[] = []
    if (count === 0) return keys
    for await (const [key, value] of database.iterator({ ...HISTORY, reverse: true })) {
      if (value !== NEVER_BEGAN && keys.push(key) === count) break
    }
    return keys.reverse()
  }

  return {
    unfinished,
    finished,
    async append(state, event) {
      try {
        await append(state, event)
      } catch (error) {
        if (isFinished(state)) unwritten.set(state.request.id, state)
        throw error
      }
      if (!isFinished(state) || ++remembered <= MAX_FINISHED) return
      const excess = (await historyKeys()).slice(0, -MAX_FINISHED)
      await database.batch(excess.flatMap(forgetting))
      remembered -= excess.length
    },
    async history({ last = Number.POSITIVE_INFINITY } = {}) {
      const keys = (await newest(last)).map((key) => jobKey(idOf(key)))
      const texts = await database.getMany(keys)
      const written = texts.flatMap((text) => (text === undefined ? [] : [parseState(text)]))
      const others = [...unwritten.values()].filter((job) => job.startedAtMs !== undefined)
      const jobs = [...written, ...others]
      return jobs.slice(Math.max(0, jobs.length - last))
    },
    async forget(jobIds) {
      for (const id of jobIds === 'all' ? [...unwritten.keys()] : jobIds) unwritten.delete(id)
      const keys = await historyKeys()
      const chosen = jobIds === 'all' ? keys : keys.filter((key) => jobIds.includes(idOf(key)))
      await database.batch(chosen.flatMap(forgetting))
      remembered -= chosen.length
    },
    async nextNumber() {
      const number = counter++
      await database.put(COUNTER_KEY, String(counter)).catch((cause: unknown) => {
        throw writingFailed('The new job', cause)
      })
      return number
    },
  }
}

/** The part of the store that knows how events lie on disk. */
function eventLog(database: Database): Pick<JobStore, 'append' | 'unfinished'> {
  /** How many events of each unfinished job are on disk. */
  const lengths = new Map<string, number>()

  return {
    async append(state, event) {
      const { id } = state.request
      const length = lengths.get(id) ?? 0
      const put = { type: 'put', key: eventKey(id, length), value: stringifyJson(event) } as const
      const writes: Write[] = isFinished(state) ? compacted(state, length) : [put]
      // Acceptance and the end are promises to the user: they survive a power cut as well.
      const sync = event.type === 'accepted' || isFinished(state)
      try {
        await database.batch(writes, { sync })
      } catch (cause) {
        throw writingFailed(`Job ${id}`, cause)
      }
      if (isFinished(state)) lengths.delete(id)
      else lengths.set(id, length + 1)
    },
    async unfinished() {
      const states = new Map<string, JobState>()
      lengths.clear()
      for await (const text of database.values({ gt: 'event/', lt: `event/${END}` })) {
        const event = jobEventSchema.parse(parseJson(text))
        states.set(event.jobId, foldJob(states.get(event.jobId), event))
        lengths.set(event.jobId, (lengths.get(event.jobId) ?? 0) + 1)
      }
      return [...states.values()]
    },
  }
}

/** The end of a job: its state instead of its `length` events, and a place in the history. */
function compacted(state: JobState, length: number): Write[] {
  const { id } = state.request
  const events = Array.from({ length }, (_, index) => eventKey(id, index))
  return [
    ...events.map((key) => ({ type: 'del', key }) as const),
    { type: 'put', key: jobKey(id), value: stringifyJson(state) },
    {
      type: 'put',
      key: historyKey(state),
      value: state.startedAtMs === undefined ? NEVER_BEGAN : '',
    },
  ]
}

function writingFailed(what: string, cause: unknown): MeshError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const message = `${what} could not be written to disk: ${why}. Free some space, or check the disk of the data folder.`
  return new MeshError('storage_failed', message, { cause })
}

function forgetting(key: string): Write[] {
  return [
    { type: 'del', key },
    { type: 'del', key: jobKey(idOf(key)) },
  ]
}

/** States are written by this program only and were checked when they were events. */
function parseState(text: string): JobState {
  return parseJson(text) as unknown as JobState
}

function eventKey(id: string, index: number): string {
  return `event/${id}/${String(index).padStart(8, '0')}`
}

function jobKey(id: string): string {
  return `job/${id}`
}

/** In the order of ending; the id at the end tells two of the same millisecond apart. */
function historyKey(state: JobState): string {
  return `history/${String(state.finishedAtMs).padStart(15, '0')}/${state.request.id}`
}

function idOf(historyKey: string): string {
  return historyKey.slice('history/'.length + 15 + 1)
}
