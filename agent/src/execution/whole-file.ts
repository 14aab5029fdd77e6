/** Files that appear whole or not at all, and never in place of another. */
import { randomUUID } from 'node:crypto'
import { type FileHandle, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Who writes a file, so that what a crash leaves half-written is known by its name. */
export interface Writer {
  /** The same for all runs of an agent, and of no other agent. */
  readonly owner: string
  /** Another one each time the agent runs. */
  readonly run: string
}

/** Half-written files are called so, those of a writer with its owner and run in front. */
const PARTIAL = /^\.comfymesh-(?:(\w+)\.(\w+)\.)?[0-9a-f-]{36}\.part$/

/** No file takes so long to write: another agent may be writing to the same folder now. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000

/**
 * Writes `bytes` to `path` unless something is there already.
 * Between the two nothing is visible under that name: the bytes are written and
 * synced under another one in the same folder first.
 * @returns false when `path` was taken.
 */
export async function writeNewFile(
  path: string,
  bytes: Uint8Array,
  writer?: Writer,
): Promise<boolean> {
  if (await exists(path)) return false
  const partial = await writePartialFile(dirname(path), bytes, writer)
  try {
    return await partial.publish(path)
  } finally {
    await partial.discard()
  }
}

/** Bytes that are on disk, whole and synced, under a name that nobody looks at. */
export interface PartialFile {
  /** Gives them a name in the same folder. @returns false when something is there already. */
  publish(path: string): Promise<boolean>
  /** Takes the name away that nobody looks at. */
  discard(): Promise<void>
}

/** @param folder made where it is not there yet. */
export async function writePartialFile(
  folder: string,
  bytes: Uint8Array,
  writer?: Writer,
): Promise<PartialFile> {
  const partial = await writePartial(folder, bytes, writer)
  return {
    publish: (path) => publishNew(partial, path),
    discard: () => rm(partial, { force: true }),
  }
}

/** As `writeNewFile`, but takes the place of what was there. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const partial = await writePartial(dirname(path), bytes)
  try {
    await rename(partial, path)
  } finally {
    await rm(partial, { force: true })
  }
}

/** Moves a file or folder unless something is at `to` already. @returns false when `to` was taken. */
export async function moveNewFile(from: string, to: string): Promise<boolean> {
  if ((await exists(to)) || !(await publishNew(from, to))) return false
  await rm(from, { force: true })
  return true
}

/** Whether a name is that of a file that is still being written, or was left so by a crash. */
export function isPartialFile(name: string): boolean {
  return PARTIAL.test(name)
}

/**
 * Removes what crashes left half-written anywhere below a folder: an hour ago or longer, and
 * whatever a former run of this writer's owner left.
 */
export async function removePartialFiles(folder: string, writer?: Writer): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    const partial = entry.isFile() ? PARTIAL.exec(entry.name) : null
    if (partial === null) continue
    const path = join(entry.parentPath, entry.name)
    const [, owner, run] = partial
    const isOurs = owner !== undefined && owner === writer?.owner && run !== writer.run
    if (isOurs || (await isAbandoned(path))) await rm(path, { force: true })
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  const { mtimeMs } = await stat(path)
  return mtimeMs < Date.now() - ABANDONED_AFTER_MS
}

async function writePartial(folder: string, bytes: Uint8Array, writer?: Writer): Promise<string> {
  const whose = writer === undefined ? '' : `${writer.owner}.${writer.run}.`
  const partial = join(folder, `.comfymesh-${whose}${randomUUID()}.part`)
  const file = await openNew(partial)
  try {
    await file.writeFile(bytes)
    await file.sync()
    return partial
  } catch (error) {
    await file.close()
    await rm(partial, { force: true })
    throw error
  } finally {
    await file.close().catch(() => {})
  }
}

/** Makes its folder where that is not there yet: asking first would cost every file a detour. */
async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await mkdir(dirname(path), { recursive: true })
    return open(path, 'wx')
  }
}

/** A hard link fails where a name is taken; a rename would replace it. */
async function publishNew(partial: string, path: string): Promise<boolean> {
  try {
    await link(partial, path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    // FAT and some network drives have no hard links; there the check and the rename are two steps.
    if (await exists(path)) return false
    await rename(partial, path)
    return true
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
