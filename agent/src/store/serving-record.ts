/**
 * Where the agent of a data folder serves, left there for the commands of its user: which port it
 * was given is known to nobody else. An agent that was killed leaves its record behind, so whoever
 * reads one asks the address whether the same process still answers.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { z } from 'zod'

const servingRecordSchema = z.object({
  /** As a client on the same machine reaches it. */
  url: z.url({ protocol: /^http$/ }),
  /** A random word of the process that serves there; its `/health` says the same one. */
  instance: z.string().min(1),
})
export type ServingRecord = z.infer<typeof servingRecordSchema>

const fileOf = (dataDir: string) => join(dataDir, 'serving.json')

/** The record of a data folder; undefined where there is none that can be read. */
export function readServingRecord(dataDir: string): ServingRecord | undefined {
  try {
    return servingRecordSchema.parse(JSON.parse(readFileSync(fileOf(dataDir), 'utf8')))
  } catch {
    return undefined
  }
}

/**
 * Leaves a record in a data folder that the caller owns, instead of the one that may be there.
 * @returns what takes it away again, as far as the disk lets it. @throws MeshError `storage_failed`
 */
export function leaveServingRecord(dataDir: string, record: ServingRecord): () => void {
  const file = fileOf(dataDir)
  const partial = `${file}-${randomUUID()}`
  try {
    // For its owner alone: clients send their token to the address that it names.
    writeFileSync(partial, JSON.stringify(record), { mode: 0o600, flag: 'wx' })
    renameSync(partial, file)
  } catch (cause) {
    rmSync(partial, { force: true })
    const message = `Where this agent serves could not be written to ${file}: ${(cause as Error).message}. Commands find it by --port only.`
    throw new MeshError('storage_failed', message, { cause })
  }
  return () => {
    try {
      rmSync(file, { force: true })
    } catch {
      // Windows keeps a file that somebody reads; whoever reads it finds nobody at the address.
    }
  }
}
