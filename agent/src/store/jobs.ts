/**
 * Jobs on disk. The events of an unfinished job are kept one by one (job-events.ts), so that a
 * restart can fold them; when it ends they are replaced by the state they came to (finished-rows.ts).
 */
import type { JobState } from '@comfymesh/protocol/job'
import {
  entryOf,
  type JobEntry,
  type JobSummary,
  summariseJob,
} from '@comfymesh/protocol/job-summary'
import { createBatches } from '../base/batches.ts'
import type { Database, Write } from './database.ts'
import {
  entryOfKey,
  jobKey,
  parseState,
  parseSummary,
  removal,
  summaryKey,
  summaryRange,
} from './finished-rows.ts'
import { createJobEvents, type JobRecord } from './job-events.ts'

/** How many finished jobs are remembered: ComfyUI's number. */
const MAX_FINISHED = 10_000

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
  const events = createJobEvents(database, warn)
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
    return state === undefined ? [] : [events.endOf(state)]
  }

  function end(state: JobState): void {
    finishedJobs.set(state.request.id, entryOf(state))
  }

  const append = createBatches<readonly JobRecord[]>(async (appended) => {
    const batch = events.batchOf(appended.flat())
    if (batch.records.length === 0) return
    // A client may run a prompt under the id of one that has ended; the new job takes its place.
    const replaced = [...batch.acceptedIds].flatMap((id) => finishedJobs.get(id) ?? [])
    const late = [...unwritten.keys()]
    const lateWrites = await Promise.all(late.flatMap(lateEnd))
    const makingRoom = [...lateWrites.flat(), ...replaced.flatMap(removal)]
    try {
      await events.write(batch, [...makingRoom, ...counterWrite()])
    } catch (error) {
      writtenCounter = -1
      for (const state of batch.endsIfRefused) {
        unwritten.set(state.request.id, state)
        end(state)
      }
      throw error
    }
    for (const id of late) unwritten.delete(id)
    for (const { id } of replaced) finishedJobs.delete(id)
    for (const state of batch.ends) end(state)
    if (finishedJobs.size > MAX_FINISHED) await remove(inOrderOfEnding().slice(0, -MAX_FINISHED))
  })

  return {
    unfinished: events.unfinished,
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

function partOf<T>(list: readonly T[], { last, offset = 0, limit }: HistoryRange): T[] {
  if (last !== undefined) return list.slice(Math.max(0, list.length - last))
  return list.slice(offset, limit === undefined ? undefined : offset + limit)
}
