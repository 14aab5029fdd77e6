/**
 * The events of unfinished jobs on disk, one by one under `event/<id>/<index>`, until the end of the
 * job replaces them. A client may use an id again, so that one id can have several lives.
 */
import {
  foldJob,
  isFinished,
  type JobEvent,
  type JobState,
  jobEventSchema,
} from '@comfymesh/protocol/job'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { Database, Write } from './database.ts'
import { END, finishedRows } from './finished-rows.ts'

/** What happened to a job, and the state that it led to. */
export interface JobRecord {
  readonly state: JobState
  readonly event: JobEvent
}

/** What is written together, all or none. */
export interface EventBatch {
  /** In their order; without those of jobs that were never taken down. */
  readonly records: readonly JobRecord[]
  /** The jobs that are accepted in it. */
  readonly acceptedIds: ReadonlySet<string>
  /** How jobs have ended when the disk has taken it. */
  readonly ends: readonly JobState[]
  /** How jobs have ended though the disk refuses it: what is accepted in it never was. */
  readonly endsIfRefused: readonly JobState[]
}

export interface JobEvents {
  batchOf(records: readonly JobRecord[]): EventBatch
  /** @param more written together with the batch, before it. @throws MeshError `storage_failed` */
  write(batch: EventBatch, more: readonly Write[]): Promise<void>
  /** The end of a job that could not be written when it came. */
  endOf(state: JobState): Promise<Write[]>
  /** The states of all jobs whose events are here. */
  unfinished(): Promise<JobState[]>
}

/** @param warn is told of what lies there and cannot be read. */
export function createJobEvents(
  database: Database,
  warn: (message: string, error: unknown) => void,
): JobEvents {
  /** How many events of each unfinished job are on disk. */
  const lengths = new Map<string, number>()

  /** The next place of a job's events. */
  function take(id: string): number {
    const length = lengths.get(id) ?? 0
    lengths.set(id, length + 1)
    return length
  }

  /** The next event of that id is the first of another life. */
  function erase(id: string): Write[] {
    const keys = Array.from({ length: lengths.get(id) ?? 0 }, (_, index) => eventKey(id, index))
    lengths.delete(id)
    return deletionOf(keys)
  }

  function writesOf(record: JobRecord): Write[] {
    const { state, event } = record
    const { id } = state.request
    if (isFinished(state)) return [...erase(id), ...finishedRows(state)]
    const former = isAcceptance(record) ? erase(id) : []
    return [...former, { type: 'put', key: eventKey(id, take(id)), value: stringifyJson(event) }]
  }

  /** Without those of jobs whose acceptance the disk refused, and of those that have ended. */
  function known(records: readonly JobRecord[]): JobRecord[] {
    const accepted = new Set<string>()
    return records.filter((record) => {
      const id = jobIdOf(record)
      if (isAcceptance(record)) accepted.add(id)
      return accepted.has(id) || lengths.has(id)
    })
  }

  return {
    batchOf(appended) {
      const records = known(appended)
      return {
        records,
        acceptedIds: new Set(records.filter(isAcceptance).map(jobIdOf)),
        ends: endsAmong(lasting(records)),
        endsIfRefused: endsAmong(ofEarlierJobs(records)),
      }
    },
    async write({ records, acceptedIds }, more) {
      // Acceptance is a promise to the user: it survives a power cut as well. An end that one
      // takes back costs another run, so nobody waits for the disk to have it.
      const isEnd = endsAmong(records).length > 0
      const sync = acceptedIds.size > 0 ? 'now' : isEnd ? 'soon' : undefined
      const [id, ...others] = new Set(records.map(jobIdOf))
      const what = others.length === 0 ? `Job ${id}` : 'The queue'
      try {
        await database.write([...more, ...lasting(records).flatMap(writesOf)], { what, sync })
      } catch (error) {
        for (const refused of acceptedIds) lengths.delete(refused)
        throw error
      }
    },
    async endOf(state) {
      const range = { gt: `event/${state.request.id}/`, lt: `event/${state.request.id}/${END}` }
      return [...deletionOf(await database.keys(range).all()), ...finishedRows(state)]
    },
    async unfinished() {
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

function endsAmong(records: readonly JobRecord[]): JobState[] {
  return records.map(({ state }) => state).filter(isFinished)
}

/** What is left of a batch: an end, and a new acceptance, replace what that id has before them. */
function lasting(records: readonly JobRecord[]): JobRecord[] {
  const replaced = new Set<string>()
  const fromTheLast = [...records].reverse().filter((record) => {
    const id = jobIdOf(record)
    if (replaced.has(id)) return false
    if (isFinished(record.state) || isAcceptance(record)) replaced.add(id)
    return true
  })
  return fromTheLast.reverse()
}

/** What a batch says of jobs that were accepted before it. */
function ofEarlierJobs(records: readonly JobRecord[]): JobRecord[] {
  const accepted = new Set<string>()
  return records.filter((record) => {
    if (isAcceptance(record)) accepted.add(jobIdOf(record))
    return !accepted.has(jobIdOf(record))
  })
}

function deletionOf(keys: readonly string[]): Write[] {
  return keys.map((key) => ({ type: 'del', key }))
}

const INDEX_DIGITS = 8

function eventKey(id: string, index: number): string {
  return `event/${id}/${String(index).padStart(INDEX_DIGITS, '0')}`
}

function jobOf(eventKey: string): string {
  return eventKey.slice('event/'.length, -INDEX_DIGITS - 1)
}

function indexOf(eventKey: string): number {
  return Number(eventKey.slice(-INDEX_DIGITS))
}

/** One damaged row must not take the whole queue with it. */
function unreadable(id: string, isAccepted: boolean): string {
  const what = `An event of job ${id} in the database cannot be read`
  return isAccepted
    ? `${what}. The job goes on without it, and runs again what it cannot know`
    : `${what}, and without it nobody knows what the job was. Submit it again`
}
