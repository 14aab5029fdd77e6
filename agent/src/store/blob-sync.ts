/**
 * Blobs reach the disk behind the back of whoever wrote them: waiting for a disk would make every
 * transfer as slow as it. Until one has, a mark lies beside it, and a start that finds the mark
 * reads the blob again.
 */
import { open, readdir, rm, writeFile } from 'node:fs/promises'

/** What the name of a mark has behind that of its blob. */
export const UNSYNCED = '.unsynced'

export interface BlobSync {
  /** Before the file appears under its hash. @throws Error of the file system. */
  mark(hash: string): Promise<void>
  /** Writes through and takes the mark away. @throws Error of the file system. */
  now(hash: string): Promise<void>
  /** As `now`, one after the other, in the background. */
  later(hash: string): void
  settled(): Promise<void>
}

export function createBlobSync(modules: {
  readonly pathOf: (hash: string) => string
  readonly onFailure: (hash: string, error: unknown) => void
}): BlobSync {
  const { pathOf } = modules
  let last = Promise.resolve()

  async function now(hash: string): Promise<void> {
    // Windows syncs what is open for writing only.
    const file = await open(pathOf(hash), 'r+')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    await rm(pathOf(hash) + UNSYNCED, { force: true })
  }

  return {
    mark: (hash) => writeFile(pathOf(hash) + UNSYNCED, ''),
    now,
    later(hash) {
      last = last
        .then(() => now(hash))
        .catch((error: NodeJS.ErrnoException) => {
          // Evicted meanwhile.
          if (error.code !== 'ENOENT') modules.onFailure(hash, error)
        })
    },
    settled: () => last,
  }
}

/** The blobs of a folder that are marked. */
export async function markedBlobs(folder: string): Promise<string[]> {
  const names = await readdir(folder)
  return names
    .filter((name) => name.endsWith(UNSYNCED))
    .map((name) => name.slice(0, -UNSYNCED.length))
}
