/**
 * The blob store: values and pictures as files named by the hash of their bytes. A file appears
 * under its hash when it is whole, and goes when room is needed or nobody asked for it for a day;
 * never while somebody holds it.
 */
import { rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import type { Blob } from '@comfymesh/protocol/value'
import { createBlobHasher } from '../base/blob-hash.ts'
import { createBlobFolder } from './blob-folder.ts'
import { createBlobSync } from './blob-sync.ts'
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
  const files = createBlobFolder(folder)
  const { stagingFolder, pathOf, partialFile } = files
  const entries = new Map<string, Entry>()
  const holds = new Map<string, number>()
  const removals = new Map<string, Promise<void>>()
  let totalBytes = 0

  function add(hash: string, entry: Entry): void {
    entries.set(hash, entry)
    totalBytes += entry.sizeBytes
  }

  async function remove(hash: string, entry: Entry): Promise<void> {
    // First, so that nobody is given a path that is about to be gone.
    entries.delete(hash)
    totalBytes -= entry.sizeBytes
    const removal = files.remove(hash).then((isGone) => {
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
  const removePartial = (olderMs: number) =>
    files.removePartial(now() - olderMs, (hash) => holds.has(hash))

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
    for (const { hash, ...entry } of await files.open(sync)) add(hash, entry)
    await removePartial(UNUSED_MS)
  } catch (cause) {
    throw failed('store', cause)
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
    partialFile,
    totalBytes: () => totalBytes,
    async stop() {
      clearInterval(timer)
      await sync.settled()
    },
  }
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
