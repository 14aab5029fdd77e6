/**
 * Jobs on disk. The events of an unfinished job are kept one by one, so that a
 * restart can fold them; when it ends they are replaced by the state they came to.
 */
import {
  foldJob,
  isFinished,
  type JobEvent,
  type JobState,
  jobEventSchema,
} from '@comfymesh/protocol/job'
import {
  entryOf,
  type JobEntry,
  type JobSummary,
  summariseJob,
} from '@comfymesh/protocol/job-summary'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { createBatches } from '../base/batches.ts'
import type { Database, Write } from './database.ts'
import {
  END,
  entryOfKey,
  finishedRows,
  jobKey,
  parseState,
  parseSummary,
  removal,
  summaryKey,
  summaryRange,
} from './finished-rows.ts'

/** How many finished jobs are remembered: ComfyUI's number. */
const MAX_FINISHED = 10_000

/** What happened to a job, and the state that it led to. */
export interface JobRecord {
  readonly state: JobState
  readonly event: JobEvent
}

/** Which part of the history; all of it when nothing is said. */
export interface HistoryRange {
  /** The newest ones only; the other two do not count then. */
  readonly last?: number
  /** How many of the oldest are passed over. */
  readonly offset?: number
  readonly limit?: number
}

export interface JobStore {
  /**
   * Writes events down, all or none, after those that were appended before; when it returned, a
   * crash of the process cannot undo it. What is appended while the disk is busy is written together.
   * The end of a job that the disk refuses is known all the same and written with the next
   * event that it takes; if the process ends before, the job runs again. Of a job whose acceptance
   * it refused nothing is written or known.
   * @throws MeshError `storage_failed`
   */
  append(...records: readonly JobRecord[]): Promise<void>
  /** The states of all jobs that have not ended, by folding their events. */
  unfinished(): Promise<JobState[]>
  finished(jobId: string): Promise<JobState | undefined>
  /** All finished jobs, in no order to count on; also those that were cancelled while they waited. */
  entries(): JobEntry[]
  /** What lists show of finished jobs, in the order asked for; one that was forgotten is left out. */
  summaries(jobs: readonly JobEntry[]): Promise<JobSummary[]>
  /** Finished jobs that had begun, the oldest first. Reads those of the range and no others. */
  history(range?: HistoryRange): Promise<JobState[]>
  forget(jobIds: readonly string[] | 'all'): Promise<void>
  /**
   * Takes the next number of ComfyUI's queue counter, which never goes back behind what was
   * written down: it is written with the events.
   */
  nextNumber(): number
}

const COUNTER_KEY = 'counter'

/** @param warn is told of what lies there and cannot be read. */
export async function openJobStore(
  database: Database,
  warn: (message: string, error: unknown) => void,
): Promise<JobStore> {
  const log = eventLog(database, warn)
  let counter = Number((await database.get(COUNTER_KEY)) ?? 0)
  let writtenCounter = counter
  /** Where every finished job stands in the lists, by id. */
  const finishedJobs = new Map<string, JobEntry>()
  for (const key of await database.keys(summaryRange).all()) {
    const entry = entryOfKey(key)
    finishedJobs.set(entry.id, entry)
  }
  /** Finished jobs whose end the disk refused. */
  const unwritten = new Map<string, JobState>()

  async function finished(jobId: string): Promise<JobState | undefined> {
    if (unwritten.has(jobId)) return unwritten.get(jobId)
    const text = await database.get(jobKey(jobId))
    return text === undefined ? undefined : parseState(text)
  }

  /** Nothing where it stands on disk already. */
  function counterWrite(): Write[] {
    if (counter === writtenCounter) return []
    writtenCounter = counter
    return [{ type: 'put', key: COUNTER_KEY, value: String(counter) }]
  }

  const inOrderOfEnding = () =>
    [...finishedJobs.values()].sort((a, b) => a.finishedAtMs! - b.finishedAtMs!)

  /** The rows of the jobs, or what the disk has not taken yet; those that are gone are left out. */
  async function read<T>(jobs: readonly JobEntry[], { keyOf, parse, from }: RowKind<T>) {
    const texts = await database.getMany(jobs.map(keyOf))
    return jobs.flatMap(({ id }, index): T[] => {
      const state = unwritten.get(id)
      if (state !== undefined) return [from(state)]
      const text = texts[index]
      return text === undefined ? [] : [parse(text)]
    })
  }

  async function remove(jobs: readonly JobEntry[]): Promise<void> {
    const late = await Promise.all(jobs.flatMap(({ id }) => lateEnd(id)))
    await database.write([...late.flat(), ...jobs.flatMap(removal)], { what: 'The history' })
    for (const { id } of jobs) {
      finishedJobs.delete(id)
      unwritten.delete(id)
    }
  }

  const lateEnd = (id: string) => {
    const state = unwritten.get(id)
    return state === undefined ? [] : [log.endOf(state)]
  }

  const append = createBatches<readonly JobRecord[]>(async (appended) => {
    const records = log.known(appended.flat())
    if (records.length === 0) return
    const ends = records.filter(({ state }) => isFinished(state))
    // A client may run a prompt under the id of one that has ended; the new job takes its place.
    const accepted = records.filter(({ event }) => event.type === 'accepted')
    const replaced = accepted.flatMap(({ event }) => finishedJobs.get(event.jobId) ?? [])
    const late = [...unwritten.keys()]
    const lateWrites = await Promise.all(late.flatMap(lateEnd))
    try {
      const makingRoom = [...lateWrites.flat(), ...replaced.flatMap(removal)]
      await log.append(records, [...makingRoom, ...counterWrite()])
    } catch (error) {
      writtenCounter = -1
      for (const { state } of ends) unwritten.set(state.request.id, state)
      throw error
    } finally {
      for (const { state } of ends) finishedJobs.set(state.request.id, entryOf(state))
    }
    for (const id of late) unwritten.delete(id)
    for (const { id } of replaced) finishedJobs.delete(id)
    if (finishedJobs.size > MAX_FINISHED) await remove(inOrderOfEnding().slice(0, -MAX_FINISHED))
  })

  return {
    unfinished: log.unfinished,
    finished,
    entries: () => [...finishedJobs.values()],
    summaries: (jobs) => read(jobs, summaryRows),
    append: (...records) => append(records),
    async history(range = {}) {
      const begun = inOrderOfEnding().filter(({ startedAtMs }) => startedAtMs !== undefined)
      return read(partOf(begun, range), stateRows)
    },
    async forget(jobIds) {
      const ids = jobIds === 'all' ? [...finishedJobs.keys()] : [...new Set(jobIds)]
      await remove(ids.flatMap((id) => finishedJobs.get(id) ?? []))
    },
    nextNumber: () => counter++,
  }
}

/** A kind of row that every finished job has. */
interface RowKind<T> {
  readonly keyOf: (job: JobEntry) => string
  readonly parse: (text: string) => T
  readonly from: (state: JobState) => T
}

const summaryRows: RowKind<JobSummary> = {
  keyOf: summaryKey,
  parse: parseSummary,
  from: summariseJob,
}

const stateRows: RowKind<JobState> = {
  keyOf: ({ id }) => jobKey(id),
  parse: parseState,
  from: (state) => state,
}

/** The part of the store that knows how events lie on disk. */
function eventLog(database: Database, warn: (message: string, error: unknown) => void) {
  /** How many events of each unfinished job are on disk. */
  const lengths = new Map<string, number>()

  /** The next place of a job's events. */
  function take(id: string): number {
    const length = lengths.get(id) ?? 0
    lengths.set(id, length + 1)
    return length
  }

  function endNow(state: JobState): Write[] {
    const { id } = state.request
    const events = Array.from({ length: lengths.get(id) ?? 0 }, (_, index) => eventKey(id, index))
    lengths.delete(id)
    return compacted(state, events)
  }

  function writesOf(records: readonly JobRecord[]): Write[] {
    const ending = new Set(records.filter(({ state }) => isFinished(state)).map(jobIdOf))
    return records.flatMap(({ state, event }): Write[] => {
      if (isFinished(state)) return endNow(state)
      const { id } = state.request
      if (ending.has(id)) return []
      return [{ type: 'put', key: eventKey(id, take(id)), value: stringifyJson(event) }]
    })
  }

  return {
    /** Without those of jobs whose acceptance the disk refused. */
    known(records: readonly JobRecord[]): JobRecord[] {
      const accepted = new Set(records.filter(isAcceptance).map(jobIdOf))
      return records.filter((record) => {
        const id = jobIdOf(record)
        return accepted.has(id) || lengths.has(id)
      })
    },
    /** @param more written together with the events. */
    async append(records: readonly JobRecord[], more: readonly Write[]): Promise<void> {
      // Acceptance is a promise to the user: it survives a power cut as well. An end that one
      // takes back costs another run, so nobody waits for the disk to have it.
      const promises = records.filter(isAcceptance)
      const isEnd = records.some(({ state }) => isFinished(state))
      const sync = promises.length > 0 ? 'now' : isEnd ? 'soon' : undefined
      const [id, ...others] = new Set(records.map(jobIdOf))
      const what = others.length === 0 ? `Job ${id}` : 'The queue'
      try {
        await database.write([...more, ...writesOf(records)], { what, sync })
      } catch (error) {
        for (const refused of promises) lengths.delete(jobIdOf(refused))
        throw error
      }
    },
    /** The end of a job that could not be written when it came. */
    async endOf(state: JobState): Promise<Write[]> {
      const range = { gt: `event/${state.request.id}/`, lt: `event/${state.request.id}/${END}` }
      return compacted(state, await database.keys(range).all())
    },
    async unfinished(): Promise<JobState[]> {
      const states = new Map<string, JobState>()
      lengths.clear()
      for await (const [key, text] of database.iterator({ gt: 'event/', lt: `event/${END}` })) {
        const id = jobOf(key)
        lengths.set(id, indexOf(key) + 1)
        try {
          const event = jobEventSchema.parse(parseJson(text))
          states.set(id, foldJob(states.get(id), event))
        } catch (error) {
          warn(unreadable(id, states.has(id)), error)
        }
      }
      return [...states.values()]
    },
  }
}

function jobIdOf({ state }: JobRecord): string {
  return state.request.id
}

function isAcceptance({ event }: JobRecord): boolean {
  return event.type === 'accepted'
}

/** The end of a job: its state and its summary instead of its events. */
function compacted(state: JobState, eventKeys: readonly string[]): Write[] {
  return [...eventKeys.map((key) => ({ type: 'del', key }) as const), ...finishedRows(state)]
}

function partOf<T>(list: readonly T[], { last, offset = 0, limit }: HistoryRange): T[] {
  if (last !== undefined) return list.slice(Math.max(0, list.length - last))
  return list.slice(offset, limit === undefined ? undefined : offset + limit)
}

const INDEX_DIGITS = 8

function eventKey(id: string, index: number): string {
  return `event/${id}/${String(index).padStart(INDEX_DIGITS, '0')}`
}

function jobOf(eventKey: string): string {
  return eventKey.slice('event/'.length, -INDEX_DIGITS - 1)
}

/** One damaged row must not take the whole queue with it. */
function unreadable(id: string, isAccepted: boolean): string {
  const what = `An event of job ${id} in the database cannot be read`
  return isAccepted
    ? `${what}. The job goes on without it, and runs again what it cannot know`
    : `${what}, and without it nobody knows what the job was. Submit it again`
}

function indexOf(eventKey: string): number {
  return Number(eventKey.slice(-INDEX_DIGITS))
}
