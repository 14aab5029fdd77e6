/**
 * The agent's database: one level store in the data folder, its schema version
 * checked before anything reads it. What the records mean is for the files beside this one.
 */
import { randomUUID } from 'node:crypto'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { Level } from 'level'
import { makeFolder } from '../base/make-folder.ts'
import { type Migration, migrations } from './migrations.ts'

export type Write =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'del'; readonly key: string }

export interface WriteOptions {
  /** What is written, for the message of a failure: 'Job 7', 'The queue'. */
  readonly what: string
  /**
   * Whether it survives a power cut as well as a crash of the process: once it is written, or
   * within a second, which nobody has to wait for.
   */
  readonly sync?: 'now' | 'soon' | undefined
}

const VERSION_KEY = 'schemaVersion'

const SYNC_DELAY_MS = 1000

/** Beside what the old log holds, an opened database writes less than this. */
const SPARE_BYTES = 1024 * 1024

export class Database extends Level<string, string> {
  /**
   * A write that a full disk cut off leaves half a record in the log, and what is written
   * after it may not be found again. So after a failure nothing more is written until the
   * database was opened anew, which begins a new log; reading goes on meanwhile.
   */
  #mended: Promise<void> | undefined
  #isDamaged = false
  #isClosed = false
  #syncTimer: NodeJS.Timeout | undefined

  /**
   * Writes all or nothing; when it returned, a crash of the process cannot undo it.
   * @throws MeshError `storage_failed`
   */
  async write(writes: readonly Write[], { what, sync }: WriteOptions): Promise<void> {
    if (this.#isClosed) {
      const why = 'the database is closed, because the agent stops'
      throw new MeshError('storage_failed', `${what} was not written to disk: ${why}.`)
    }
    try {
      if (this.#isDamaged) await this.#mend()
      await this.batch([...writes], { sync: sync === 'now' })
      if (sync === 'now') this.#cancelSync()
      if (sync === 'soon') this.#syncTimer ??= setTimeout(() => this.#sync(), SYNC_DELAY_MS).unref()
    } catch (cause) {
      this.#isDamaged = true
      const why = cause instanceof Error ? cause.message : String(cause)
      const message = `${what} could not be written to disk: ${why}. Free some space, or check the disk of the data folder.`
      throw new MeshError('storage_failed', message, { cause })
    }
  }

  /** For good: what is written afterwards is refused. */
  override async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelSync()
    await this.#mended?.catch(() => {})
    await super.close()
  }

  /** Everything that was written before is synced with the next write that is. */
  #cancelSync(): void {
    clearTimeout(this.#syncTimer)
    this.#syncTimer = undefined
  }

  #sync(): void {
    this.#cancelSync()
    if (this.status !== 'open' || this.#isDamaged) return
    const nothing: Write = { type: 'del', key: 'nothing' }
    this.write([nothing], { what: 'Nothing', sync: 'now' }).catch(() => {})
  }

  /** Opens the database anew, once for all who wait for it. */
  #mend(): Promise<void> {
    this.#mended ??= this.#openAnew().finally(() => {
      this.#mended = undefined
    })
    return this.#mended
  }

  async #openAnew(): Promise<void> {
    // Asked first: a database that was closed and cannot be opened could not even be read.
    await needSpace(this.location)
    await super.close()
    await this.open()
    this.#isDamaged = false
  }
}

/** @throws Error of the system when the disk has no room for opening the database in `folder`. */
async function needSpace(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log'))
  const logs = await Promise.all(names.map((name) => stat(join(folder, name))))
  const bytes = logs.reduce((sum, { size }) => sum + size, SPARE_BYTES)
  const probe = join(dirname(folder), '.space-probe')
  try {
    const file = await open(probe, 'w')
    try {
      await file.writeFile(Buffer.alloc(bytes, 1))
      await file.sync()
    } finally {
      await file.close()
    }
  } finally {
    await rm(probe, { force: true })
  }
}

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
    const database = new Database(folder)
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
    if (index >= version) await migrateOnce(database, migration, index + 1)
  }
}

/** A migration and its version are one write: a kill between them cannot be. */
async function migrateOnce(database: Database, migration: Migration, version: number) {
  const reached: Write = { type: 'put', key: VERSION_KEY, value: String(version) }
  const what = `Version ${version} of the database`
  await database.write([...(await migration(database)), reached], { what, sync: 'now' })
}

function openingFailed(dataDir: string, cause: unknown): MeshError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  const isLocked = (inner as { code?: unknown }).code === 'LEVEL_LOCKED'
  const message = isLocked
    ? `Another comfymesh agent is using the data folder ${dataDir}. Stop it, or start this one with another --data-dir.`
    : `The database in ${dataDir} cannot be opened: ${(inner as Error).message}. Check that the disk is there, not full and writable.`
  return new MeshError('storage_failed', message, { cause })
}

const OWNER_KEY = 'owner'

/** Who owns this database: a random word, made once, that no other data folder has. */
export async function ownerOf(database: Database): Promise<string> {
  const known = await database.get(OWNER_KEY)
  if (known !== undefined) return known
  const owner = randomUUID().slice(0, 8)
  await database.write([{ type: 'put', key: OWNER_KEY, value: owner }], {
    what: 'The name of the data folder',
  })
  return owner
}
