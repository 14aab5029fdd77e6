/**
 * What the names of the blobs in a folder are. Blobs that were named in another way answer to no
 * hash any more, and whoever was given them would take their holder for a liar; they are a cache,
 * and what is missed is made again.
 */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSchema } from '@comfymesh/protocol/value'
import { UNSYNCED } from './blob-sync.ts'

/** In the folder beside the blobs; folders without it are of the days of SHA-256. */
export const NAMING_FILE = 'naming'
export const NAMING = 'BLAKE3 of the BLAKE3 digests of 2 MiB chunks\n'

/**
 * Empties a folder whose blobs are named in another way, before anything is read from it.
 * @param partialFolder of blobs that arrive, under their names. @throws Error of the file system.
 */
export async function dropOtherNames(folder: string, partialFolder: string): Promise<void> {
  const path = join(folder, NAMING_FILE)
  const found = await readFile(path, 'utf8').catch(() => '')
  if (found === NAMING) return
  await removeBlobs(partialFolder)
  await removeBlobs(folder)
  // Last, so that a kill meanwhile leaves the rest to the next start.
  await writeFile(path, NAMING)
}

async function removeBlobs(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const hash = name.endsWith(UNSYNCED) ? name.slice(0, -UNSYNCED.length) : name
    if (hashSchema.safeParse(hash).success) await rm(join(folder, name), { force: true })
  }
}
