/**
 * The blob store: values and pictures as files named by the hash of their bytes. A file appears
 * under its hash when it is whole, and goes when room is needed or nobody asked for it for a day;
 * never while somebody holds it.
 */
import { mkdir, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { type Blob, hashSchema } from '@comfymesh/protocol/value'
import { createBlobHasher, type HashedBlob } from '../base/blob-hash.ts'
import { makeFolder } from '../base/make-folder.ts'
import { dropOtherNames } from './blob-naming.ts'
import { createBlobSync, markedBlobs, UNSYNCED } from './blob-sync.ts'
import { hashFile } from './hash-file.ts'

export interface BlobStore {
  /** Where files are written that become blobs: on the same disk, emptied at each start. */
  readonly stagingFolder: string
  /**
   * Takes over a whole file of the staging folder, or of `partialFile`; the file is no longer there
   * afterwards. Nobody need have synced it.
   * @param digests of its chunks, where they are known; otherwise they are computed when needed.
   * @throws MeshError `malformed_file` when it has not the size, `storage_failed`.
   */
  adopt(path: string, blob: Blob, digests?: Buffer): Promise<void>
  /** Keeps bytes. @throws MeshError `storage_failed` */
  put(bytes: Uint8Array): Promise<Blob>
  has(hash: string): boolean
  /** The absolute path of a blob that is here, which counts as a use; undefined where it is not. */
  path(hash: string): string | undefined
  sizeBytes(hash: string): number | undefined
  /** The digests of its chunks; undefined where the blob is not here. @throws MeshError `storage_failed` */
  chunkDigests(hash: string): Promise<Buffer | undefined>
  /** Keeps these blobs, also those that come later, until they are released. Safe to release twice. */
  hold(hashes: Iterable<string>): () => void
  /** Where the bytes of a blob are gathered while they arrive; what is there survives restarts. */
  partialFile(hash: string): string
  /** What all blobs take together. */
  totalBytes(): number
  /** Ends when everything is synced. */
  stop(): Promise<void>
}

export interface BlobStoreOptions {
  readonly folder: string
  /** So much may lie here before the least used go; by default 4 GB, or a quarter of the free disk. */
  readonly budgetBytes?: number
  /** How often it looks for what nobody needs any more. */
  readonly lookMs?: number
}

export interface BlobStoreModules {
  /** Milliseconds since 1970, as files have them. */
  readonly now: () => number
  readonly warn: (message: string, error?: unknown) => void
}

interface Entry {
  readonly sizeBytes: number
  usedAtMs: number
  digests?: Promise<Buffer>
}

const DEFAULT_BUDGET_BYTES = 4 * 2 ** 30
/** Of the disk that is free, others need most. */
const FREE_DISK_SHARE = 1 / 4
const UNUSED_MS = 24 * 60 * 60 * 1000
const LOOK_MS = 10 * 60 * 1000
/** So long a fetch that broke off may be taken up again; after a restart, as long as what is unused. */
const UNFINISHED_MS = 60 * 60 * 1000

/**
 * Opens the store of a folder, and clears what a kill left behind: files that were being written go,
 * blobs that may have been cut off by a failing power are read and go when they do not fit their name.
 * @throws MeshError `storage_failed`
 */
export async function openBlobStore(
  options: BlobStoreOptions,
  modules: BlobStoreModules,
): Promise<BlobStore> {
  const { folder } = options
  const { now, warn } = modules
  const stagingFolder = join(folder, 'staging')
  const partialFolder = join(folder, 'partial')
  const entries = new Map<string, Entry>()
  const holds = new Map<string, number>()
  const removals = new Map<string, Promise<void>>()
  let totalBytes = 0
  const pathOf = (hash: string) => join(folder, hash)

  function add(hash: string, entry: Entry): void {
    entries.set(hash, entry)
    totalBytes += entry.sizeBytes
  }

  async function remove(hash: string, entry: Entry): Promise<void> {
    // First, so that nobody is given a path that is about to be gone.
    entries.delete(hash)
    totalBytes -= entry.sizeBytes
    const removal = removeFiles(pathOf(hash)).then((isGone) => {
      removals.delete(hash)
      if (!isGone) add(hash, entry)
    })
    removals.set(hash, removal)
    await removal
  }

  /** Lets the least used go until so many more bytes fit the budget. */
  async function makeRoom(neededBytes: number): Promise<void> {
    const isEnough = () => totalBytes + neededBytes <= budgetBytes
    if (isEnough()) return
    const byUse = [...entries].sort(([, a], [, b]) => a.usedAtMs - b.usedAtMs)
    for (const [hash, entry] of byUse) {
      if (isEnough()) return
      if (!holds.has(hash) && entries.get(hash) === entry) await remove(hash, entry)
    }
  }

  async function removeUnused(): Promise<void> {
    for (const [hash, entry] of entries) {
      const isOld = now() - entry.usedAtMs > UNUSED_MS
      if (isOld && !holds.has(hash)) await remove(hash, entry)
    }
  }

  /** What arrives is held meanwhile, however slowly it comes. */
  async function removePartial(olderMs: number): Promise<void> {
    for (const name of await readdir(partialFolder)) {
      if (!holds.has(name)) await removeOld(join(partialFolder, name), now() - olderMs)
    }
  }

  async function look(): Promise<void> {
    try {
      await removeUnused()
      await removePartial(UNFINISHED_MS)
    } catch (error) {
      warn(`The folder ${folder} could not be tidied. Check the disk of the data folder.`, error)
    }
  }

  function isHere(hash: string): boolean {
    const entry = entries.get(hash)
    if (entry !== undefined) entry.usedAtMs = now()
    return entry !== undefined
  }

  async function adopt(path: string, { hash, sizeBytes }: Blob, digests?: Buffer): Promise<void> {
    const entry: Entry = { sizeBytes, usedAtMs: now() }
    // Copied: the digests of a runner are a piece of the message by which they came.
    if (digests !== undefined) entry.digests = Promise.resolve(Buffer.from(digests))
    try {
      if ((await stat(path)).size !== sizeBytes) throw wrongSize(path, sizeBytes)
      await removals.get(hash)
      if (isHere(hash)) return
      await makeRoom(sizeBytes)
      await sync.mark(hash)
      await rename(path, pathOf(hash))
      if (!entries.has(hash)) add(hash, entry)
      sync.later(hash)
    } catch (cause) {
      // Two took over the same bytes at once, and the file of one is being read already.
      if (!entries.has(hash)) throw failed(hash, cause)
    } finally {
      await rm(path, { force: true }).catch(() => {})
    }
  }

  let names = 0
  async function put(bytes: Uint8Array): Promise<Blob> {
    const hasher = createBlobHasher()
    hasher.update(bytes)
    const { blob, digests } = hasher.finish()
    if (isHere(blob.hash)) return blob
    const path = join(stagingFolder, `${process.pid}-${names++}`)
    try {
      await writeFile(path, bytes, { flag: 'wx' })
    } catch (cause) {
      await rm(path, { force: true }).catch(() => {})
      throw failed(blob.hash, cause)
    }
    await adopt(path, blob, digests)
    return blob
  }

  async function digestsOf(hash: string): Promise<Buffer> {
    try {
      return (await hashFile(pathOf(hash))).digests
    } catch (cause) {
      throw failed(hash, cause)
    }
  }

  const sync = createBlobSync({
    pathOf,
    onFailure(hash, error) {
      warn(`Blob ${hash} could not be synced to disk; it is dropped`, error)
      const entry = entries.get(hash)
      if (entry !== undefined) void remove(hash, entry)
    },
  })
  try {
    await prepare([folder, partialFolder], stagingFolder)
    await dropOtherNames(folder, partialFolder)
    await removePartial(UNUSED_MS)
    for (const hash of await markedBlobs(folder)) await checkUnsynced(hash)
    for (const name of await readdir(folder)) {
      if (!hashSchema.safeParse(name).success) continue
      const { size, mtimeMs } = await stat(pathOf(name))
      add(name, { sizeBytes: size, usedAtMs: mtimeMs })
    }
  } catch (cause) {
    throw failed('store', cause)
  }

  /** Its bytes may not have reached the disk before the power failed. */
  async function checkUnsynced(hash: string): Promise<void> {
    const found = await hashFile(pathOf(hash)).catch((): HashedBlob | undefined => undefined)
    if (found?.blob.hash === hash) return sync.now(hash)
    await removeFiles(pathOf(hash))
  }

  const budgetBytes = options.budgetBytes ?? (await defaultBudget(folder, totalBytes))
  await removeUnused()
  await makeRoom(0)
  const timer = setInterval(() => void look(), options.lookMs ?? LOOK_MS).unref()

  return {
    stagingFolder,
    adopt,
    put,
    has: (hash) => entries.has(hash),
    path: (hash) => (isHere(hash) ? pathOf(hash) : undefined),
    sizeBytes: (hash) => entries.get(hash)?.sizeBytes,
    async chunkDigests(hash) {
      const entry = entries.get(hash)
      if (entry === undefined) return undefined
      entry.digests ??= digestsOf(hash).catch((error: unknown) => {
        delete entry.digests
        throw error
      })
      return entry.digests
    },
    hold(hashes) {
      const held = new Set(hashes)
      for (const hash of held) holds.set(hash, (holds.get(hash) ?? 0) + 1)
      return () => {
        for (const hash of held) {
          const left = holds.get(hash)! - 1
          if (left === 0) holds.delete(hash)
          else holds.set(hash, left)
        }
        held.clear()
      }
    },
    partialFile: (hash) => join(partialFolder, hash),
    totalBytes: () => totalBytes,
    async stop() {
      clearInterval(timer)
      await sync.settled()
    },
  }
}

async function prepare(kept: readonly string[], emptied: string): Promise<void> {
  for (const folder of kept) makeFolder(folder)
  // A runner of a killed agent may still have one open, which Windows does not remove.
  await rm(emptied, { recursive: true, force: true }).catch(() => {})
  await mkdir(emptied, { recursive: true })
}

/** @returns false where Windows keeps a file that somebody reads; it goes another time. */
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

async function defaultBudget(folder: string, usedBytes: number): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return Math.min(DEFAULT_BUDGET_BYTES, (bavail * bsize + usedBytes) * FREE_DISK_SHARE)
}

function wrongSize(path: string, sizeBytes: number): MeshError {
  const message = `${path} should have ${sizeBytes} bytes and has not; whoever wrote it was cut off. Run the job again.`
  return new MeshError('malformed_file', message)
}

function failed(what: string, cause: unknown): MeshError {
  if (cause instanceof MeshError) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  const message = `The blob ${what} could not be kept: ${why}. Free some space, or check the disk of the data folder.`
  return new MeshError('storage_failed', message, { cause })
}
