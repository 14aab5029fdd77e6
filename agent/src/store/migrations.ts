/** The schema's versions: row n brings a database of version n to n + 1. Version 0 is empty. */
import type { Level } from 'level'
import type { Write } from './database.ts'

/** What has to be written; it is written together with the new version or not at all. */
export type Migration = (database: Level<string, string>) => Promise<Write[]>

export const migrations: readonly Migration[] = [async () => [], separateUnbegun]

/**
 * In version 1 jobs that ended before they had begun stood in the history's index, so that
 * every value of it had to be read to know a job's place in the history.
 */
async function separateUnbegun(database: Level<string, string>): Promise<Write[]> {
  const writes: Write[] = []
  for await (const [key, value] of database.iterator({ gt: 'history/', lt: 'history/\uffff' })) {
    if (value !== 'never began') continue
    const moved = key.replace(/^history\//, 'unbegun/')
    writes.push({ type: 'del', key }, { type: 'put', key: moved, value: '' })
  }
  return writes
}
