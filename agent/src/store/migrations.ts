/** The schema's versions: row n brings a database of version n to n + 1. Version 0 is empty. */
import { type JsonObject, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { Database, Write } from './database.ts'
import { jobKey, parseState, summaryRow } from './finished-rows.ts'

/** What has to be written; it is written together with the new version or not at all. */
export type Migration = (database: Database) => Promise<Write[]>

export const migrations: readonly Migration[] = [
  async () => [],
  separateUnbegun,
  summariseFinished,
  requeueRetried,
]

/**
 * In version 1 jobs that ended before they had begun stood in the history's index, so that
 * every value of it had to be read to know a job's place in the history.
 */
async function separateUnbegun(database: Database): Promise<Write[]> {
  const writes: Write[] = []
  for await (const [key, value] of database.iterator({ gt: 'history/', lt: 'history/\uffff' })) {
    if (value !== 'never began') continue
    const moved = key.replace(/^history\//, 'unbegun/')
    writes.push({ type: 'del', key }, { type: 'put', key: moved, value: '' })
  }
  return writes
}

/**
 * In version 2 a list of finished jobs read their whole states: what stood in the two lists was
 * their ids in the order of ending, `history/<15 digits>/<id>`.
 */
async function summariseFinished(database: Database): Promise<Write[]> {
  const writes: Write[] = []
  for (const list of ['history', 'unbegun']) {
    for await (const key of database.keys({ gt: `${list}/`, lt: `${list}/\uffff` })) {
      const text = await database.get(jobKey(key.slice(`${list}/`.length + 15 + 1)))
      writes.push({ type: 'del', key })
      if (text === undefined) continue
      const row = unlessDamaged(() => summaryRow(parseState(text)))
      if (row !== undefined) writes.push(row)
    }
  }
  return writes
}

/**
 * In version 3 a job that was tried again had an event `retried`, after which everything of it ran
 * anew: just what happens after `requeued`.
 */
async function requeueRetried(database: Database): Promise<Write[]> {
  const writes: Write[] = []
  for await (const [key, text] of database.iterator({ gt: 'event/', lt: 'event/\uffff' })) {
    const event = unlessDamaged(() => parseJson(text) as JsonObject | null)
    if (event?.type !== 'retried') continue
    const { jobId, atMs } = event
    writes.push({ type: 'put', key, value: stringifyJson({ type: 'requeued', jobId, atMs }) })
  }
  return writes
}

/** One row that nobody can read stays as it is: the store tells of it, and the others count. */
function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
