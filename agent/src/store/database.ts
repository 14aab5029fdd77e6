/**
 * The agent's database: one level store in the data folder, its schema version
 * checked before anything reads it. What the records mean is for the files beside this one.
 */
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { Level } from 'level'
import { makeFolder } from '../base/make-folder.ts'

export type Database = Level<string, string>

type Migration = (database: Database) => Promise<void>

/** Row n brings a database of schema version n to n + 1. Version 0 is an empty database. */
const migrations: readonly Migration[] = [async () => {}]

const VERSION_KEY = 'schemaVersion'

/**
 * Opens the database of a data folder, making both when they are not there.
 * @throws MeshError `storage_failed` when another agent has it open, when a newer
 *   comfymesh wrote it, or when the disk refuses.
 */
export async function openDatabase(dataDir: string): Promise<Database> {
  const database = await openLevel(dataDir)
  try {
    await migrate(database, dataDir)
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

async function openLevel(dataDir: string): Promise<Database> {
  const folder = join(dataDir, 'database')
  try {
    // Before Level exists, which opens on its own and would try for ever to make it below /proc.
    makeFolder(folder)
    const database = new Level<string, string>(folder)
    await database.open()
    return database
  } catch (cause) {
    throw openingFailed(dataDir, cause)
  }
}

async function migrate(database: Database, dataDir: string): Promise<void> {
  const version = Number((await database.get(VERSION_KEY)) ?? 0)
  if (version > migrations.length) {
    throw new MeshError(
      'storage_failed',
      `The data folder ${dataDir} was written by a newer comfymesh (schema ${version}; this one knows ${migrations.length}). Update comfymesh, or start it with another --data-dir.`,
    )
  }
  for (const [index, migration] of migrations.entries()) {
    if (index < version) continue
    await migration(database)
    await database.put(VERSION_KEY, String(index + 1), { sync: true })
  }
}

function openingFailed(dataDir: string, cause: unknown): MeshError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  const isLocked = (inner as { code?: unknown }).code === 'LEVEL_LOCKED'
  const message = isLocked
    ? `Another comfymesh agent is using the data folder ${dataDir}. Stop it, or start this one with another --data-dir.`
    : `The database in ${dataDir} cannot be opened: ${(inner as Error).message}. Check that the disk is there, not full and writable.`
  return new MeshError('storage_failed', message, { cause })
}
