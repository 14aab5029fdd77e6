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
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { Database, Write } from './database.ts'

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
   * Writes events down, all or none; when it returned, a crash of the process cannot undo it.
   * The end of a job that the disk refuses is known all the same and written with the next
   * event that it takes; if the process ends before, the job runs again.
   * @throws MeshError `storage_failed`
   */
  append(...records: readonly JobRecord[]): Promise<void>
  /** The states of all jobs that have not ended, by folding their events. */
  unfinished(): Promise<JobState[]>
  finished(jobId: string): Promise<JobState | undefined>
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
/** Sorts after every character that an id or a number can hold. */
const END = '\uffff'

/** The two lists of finished jobs, each in the order of ending. */
const ended = {
  history: { gt: 'history/', lt: `history/${END}` },
  /** Those that ended before they had begun: ComfyUI's history does not have them. */
  unbegun: { gt: 'unbegun/', lt: `unbegun/${END}` },
}

export async function openJobStore(database: Database): Promise<JobStore> {
  const log = eventLog(database)
  let counter = Number((await database.get(COUNTER_KEY)) ?? 0)
  let writtenCounter = counter
  let remembered = (await endedKeys()).length
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

  async function endedKeys(): Promise<string[]> {
    const lists = Object.values(ended).map((range) => database.keys(range).all())
    return (await Promise.all(lists)).flat()
  }

  async function historyKeys({ last, offset = 0, limit }: HistoryRange): Promise<string[]> {
    if (last !== undefined)
      return (await database.keys({ ...ended.history, reverse: true, limit: last }).all()).reverse()
    // -1 is level's word for no limit.
    const upTo = limit === undefined ? -1 : offset + limit
    return (await database.keys({ ...ended.history, limit: upTo }).all()).slice(offset)
  }

  /** A client may run a prompt under the id of one that has ended; the new job takes its place. */
  async function replaced({ state, event }: JobRecord): Promise<Write[]> {
    if (event.type !== 'accepted') return []
    const { id } = state.request
    const text = await database.get(jobKey(id))
    unwritten.delete(id)
    if (text === undefined) return []
    remembered -= 1
    return forgetting(endedKey(parseState(text)))
  }

  async function forgetExcess(): Promise<void> {
    if (remembered <= MAX_FINISHED) return
    const keys = (await endedKeys()).sort((a, b) => (stampOf(a) < stampOf(b) ? -1 : 1))
    const excess = keys.slice(0, -MAX_FINISHED)
    await database.write(excess.flatMap(forgetting), { what: 'The history' })
    remembered = MAX_FINISHED
  }

  return {
    unfinished: log.unfinished,
    finished,
    async append(...records) {
      const ends = records.filter(({ state }) => isFinished(state))
      const old = await Promise.all(records.map(replaced))
      const late = [...unwritten.values()]
      const lateWrites = await Promise.all(late.map(log.endOf))
      try {
        await log.append(records, [...old, ...lateWrites, counterWrite()].flat())
      } catch (error) {
        writtenCounter = -1
        for (const { state } of ends) unwritten.set(state.request.id, state)
        throw error
      }
      const written = late.filter(({ request }) => unwritten.delete(request.id))
      remembered += ends.length + written.length
      await forgetExcess()
    },
    async history(range = {}) {
      const others = [...unwritten.values()].filter((job) => job.startedAtMs !== undefined)
      // What the disk refused counts as the newest.
      const chosen =
        others.length === 0
          ? await historyKeys(range)
          : partOf([...(await historyKeys({})), ...others], range)
      const keys = chosen.filter((one) => typeof one === 'string').map((key) => jobKey(idOf(key)))
      const texts = await database.getMany(keys)
      const written = texts.flatMap((text) => (text === undefined ? [] : [parseState(text)]))
      return [...written, ...chosen.filter((one) => typeof one !== 'string')]
    },
    async forget(jobIds) {
      for (const id of jobIds === 'all' ? [...unwritten.keys()] : jobIds) unwritten.delete(id)
      const chosen = jobIds === 'all' ? undefined : new Set(jobIds)
      const keys = (await endedKeys()).filter((key) => chosen?.has(idOf(key)) ?? true)
      await database.write(keys.flatMap(forgetting), { what: 'The history' })
      remembered -= keys.length
    },
    nextNumber: () => counter++,
  }
}

/** The part of the store that knows how events lie on disk. */
function eventLog(database: Database) {
  /** How many events of each unfinished job are on disk. */
  const lengths = new Map<string, number>()

  function writesOf({ state, event }: JobRecord): Write[] {
    const { id } = state.request
    const length = lengths.get(id) ?? 0
    if (isFinished(state)) {
      const events = Array.from({ length }, (_, index) => eventKey(id, index))
      return compacted(state, events)
    }
    return [{ type: 'put', key: eventKey(id, length), value: stringifyJson(event) }]
  }

  return {
    /** @param more written together with the events. */
    async append(records: readonly JobRecord[], more: readonly Write[]): Promise<void> {
      const [first] = records
      if (first === undefined) return
      // Acceptance is a promise to the user: it survives a power cut as well. An end that one
      // takes back costs another run, so nobody waits for the disk to have it.
      const isPromise = records.some(({ event }) => event.type === 'accepted')
      const isEnd = records.some(({ state }) => isFinished(state))
      const sync = isPromise ? 'now' : isEnd ? 'soon' : undefined
      const what = records.length === 1 ? `Job ${first.state.request.id}` : 'The queue'
      const writes = [...more, ...records.flatMap(writesOf)]
      // Counted before the disk answers, so that the next event does not take the same place.
      for (const { state } of records) count(state)
      await database.write(writes, { what, sync })
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
        const event = jobEventSchema.parse(parseJson(text))
        states.set(event.jobId, foldJob(states.get(event.jobId), event))
        lengths.set(event.jobId, indexOf(key) + 1)
      }
      return [...states.values()]
    },
  }

  function count(state: JobState): void {
    const { id } = state.request
    if (isFinished(state)) lengths.delete(id)
    else lengths.set(id, (lengths.get(id) ?? 0) + 1)
  }
}

/** The end of a job: its state instead of its events, and a place in a list. */
function compacted(state: JobState, eventKeys: readonly string[]): Write[] {
  return [
    ...eventKeys.map((key) => ({ type: 'del', key }) as const),
    { type: 'put', key: jobKey(state.request.id), value: stringifyJson(state) },
    { type: 'put', key: endedKey(state), value: '' },
  ]
}

function partOf<T>(list: readonly T[], { last, offset = 0, limit }: HistoryRange): T[] {
  if (last !== undefined) return list.slice(Math.max(0, list.length - last))
  return list.slice(offset, limit === undefined ? undefined : offset + limit)
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

const INDEX_DIGITS = 8
const TIME_DIGITS = 15

function eventKey(id: string, index: number): string {
  return `event/${id}/${String(index).padStart(INDEX_DIGITS, '0')}`
}

function indexOf(eventKey: string): number {
  return Number(eventKey.slice(-INDEX_DIGITS))
}

function jobKey(id: string): string {
  return `job/${id}`
}

/** In the order of ending; the id at the end tells two of the same millisecond apart. */
function endedKey(state: JobState): string {
  const list = state.startedAtMs === undefined ? 'unbegun' : 'history'
  const stamp = String(state.finishedAtMs).padStart(TIME_DIGITS, '0')
  return `${list}/${stamp}/${state.request.id}`
}

/** The time and the id: what stands behind the name of the list. */
function stampOf(endedKey: string): string {
  return endedKey.slice(endedKey.indexOf('/') + 1)
}

function idOf(endedKey: string): string {
  return stampOf(endedKey).slice(TIME_DIGITS + 1)
}
