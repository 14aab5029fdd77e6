/**
 * The folder of a blob store: blobs as files named by their hash, `staging` for files that are to
 * become blobs, `partial` for bytes that arrive. What a kill left behind is cleared at the start.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSchema } from '@comfymesh/protocol/value'
import type { HashedBlob } from '../base/blob-hash.ts'
import { makeFolder } from '../base/make-folder.ts'
import { dropOtherNames } from './blob-naming.ts'
import { type BlobSync, markedBlobs, UNSYNCED } from './blob-sync.ts'
import { hashFile } from './hash-file.ts'

export interface FoundBlob {
  readonly hash: string
  readonly sizeBytes: number
  readonly usedAtMs: number
}

export interface BlobFolder {
  readonly stagingFolder: string
  pathOf(hash: string): string
  partialFile(hash: string): string
  /**
   * Makes what is missing, empties `staging` and removes blobs that may have been cut off by a
   * failing power and do not fit their name. @returns what is there. @throws Error of the file system.
   */
  open(sync: Pick<BlobSync, 'now'>): Promise<FoundBlob[]>
  /** @returns false where Windows keeps a file that somebody reads; it goes another time. */
  remove(hash: string): Promise<boolean>
  /** Removes what arrived in part and has not grown since. @throws Error of the file system. */
  removePartial(beforeMs: number, isKept: (hash: string) => boolean): Promise<void>
}

export function createBlobFolder(folder: string): BlobFolder {
  const stagingFolder = join(folder, 'staging')
  const partialFolder = join(folder, 'partial')
  const pathOf = (hash: string) => join(folder, hash)

  async function emptyStaging(): Promise<void> {
    // A runner of a killed agent may still have a file open, which Windows does not remove.
    await rm(stagingFolder, { recursive: true, force: true }).catch(() => {})
    await mkdir(stagingFolder, { recursive: true })
  }

  /** Its bytes may not have reached the disk before the power failed. */
  async function checkUnsynced(hash: string, sync: Pick<BlobSync, 'now'>): Promise<void> {
    const found = await hashFile(pathOf(hash)).catch((): HashedBlob | undefined => undefined)
    if (found?.blob.hash === hash) return sync.now(hash)
    await removeFiles(pathOf(hash))
  }

  return {
    stagingFolder,
    pathOf,
    partialFile: (hash) => join(partialFolder, hash),
    async open(sync) {
      for (const kept of [folder, partialFolder]) makeFolder(kept)
      await emptyStaging()
      await dropOtherNames(folder, partialFolder)
      for (const hash of await markedBlobs(folder)) await checkUnsynced(hash, sync)
      const found: FoundBlob[] = []
      for (const hash of await readdir(folder)) {
        if (!hashSchema.safeParse(hash).success) continue
        const { size, mtimeMs } = await stat(pathOf(hash))
        found.push({ hash, sizeBytes: size, usedAtMs: mtimeMs })
      }
      return found
    },
    remove: (hash) => removeFiles(pathOf(hash)),
    async removePartial(beforeMs, isKept) {
      for (const name of await readdir(partialFolder)) {
        if (!isKept(name)) await removeOld(join(partialFolder, name), beforeMs)
      }
    },
  }
}

async function removeFiles(path: string): Promise<boolean> {
  try {
    await rm(path, { force: true })
    await rm(path + UNSYNCED, { force: true })
    return true
  } catch {
    return false
  }
}

async function removeOld(path: string, beforeMs: number): Promise<void> {
  // It may have been moved meanwhile, and Windows keeps one that is open.
  const found = await stat(path).catch(() => undefined)
  if (found !== undefined && found.mtimeMs < beforeMs) await removeFiles(path)
}
