/**
 * Pictures that nodes hand out become files of this machine, named as ComfyUI
 * names them, with the prompt and the workflow inside.
 */
import { createHash, randomInt, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import type { FileReference, NamedPicture } from '@comfymesh/protocol/job'
import type { JsonObject } from '@comfymesh/protocol/json'
import { insertPngText, type PngText } from '../base/png-text.ts'
import type { SavedPicture } from '../executors/executor.ts'
import { containedPath, type FolderSettings } from '../models/folders.ts'
import { fileName, nextCounter, saveTarget } from './file-names.ts'
import { removePartialFiles, type Writer, writePartialFile } from './whole-file.ts'

/**
 * Where it stands what is about to be saved. A crash can fall between the moment in which a
 * file appears and that in which its job knows: the next attempt finds the file by its name.
 */
export interface SavingRecord {
  /** What a former attempt was about to save, by the picture's index. */
  readonly named: readonly (NamedPicture | undefined)[]
  /** Told before the file appears. */
  name(index: number, picture: NamedPicture): Promise<void>
}

export interface PictureFiles {
  /**
   * Saves one node's pictures with these texts inside; each file appears whole or not at all, none
   * is overwritten, and one that a former attempt saved is not saved again.
   * @throws MeshError `node_failed` for a prefix that leaves the folder, `storage_failed`.
   */
  save(
    pictures: readonly SavedPicture[],
    texts: readonly PngText[],
    record: SavingRecord,
  ): Promise<FileReference[]>
  /** Whether all files that a node's output speaks of are still there. */
  exist(output: JsonObject): Promise<boolean>
  /** Makes the folders, empties the temp folder and removes what a crash left half-written. */
  prepare(): Promise<void>
  /** Empties the temp folder. */
  clearTemp(): Promise<void>
}

export interface PictureFilesOptions {
  readonly now?: () => Date
  /** Who saves, the same after a restart: what a crash left half-written is known by it. */
  readonly owner?: string
}

type Folders = Pick<FolderSettings, 'output' | 'temp'>

export function createPictureFiles(
  options: PictureFilesOptions,
  modules: { readonly folders: Folders },
): PictureFiles {
  const { folders } = modules
  const now = options.now ?? (() => new Date())
  const run = randomUUID().slice(0, 8)
  const writer = options.owner === undefined ? undefined : { owner: options.owner, run }
  return {
    async save(pictures, texts, record) {
      const suffix = tempSuffix()
      const saved: FileReference[] = []
      for (const [index, picture] of pictures.entries()) {
        const before = record.named[index]
        const isSaved = before !== undefined && (await isUnchanged(before, folders))
        const name = (named: NamedPicture) => record.name(index, named)
        const saving = { picture, texts, suffix, folders, writer, name }
        saved.push(isSaved ? before.file : await saveOne(saving, now()))
      }
      return saved
    },
    async exist(output) {
      const shown: unknown[] = Object.values(output).flat()
      const files = shown.filter(isFileReference)
      const found = await Promise.all(files.map((file) => isThere(file, folders)))
      return found.every(Boolean)
    },
    async prepare() {
      await mkdir(folders.output, { recursive: true })
      await clearTemp(folders.temp)
      // Not waited for: an output folder may hold a hundred thousand pictures.
      void removePartialFiles(folders.output, writer).catch(() => {})
    },
    clearTemp: () => clearTemp(folders.temp),
  }
}

interface Saving {
  readonly picture: SavedPicture
  readonly texts: readonly PngText[]
  readonly suffix: string
  readonly folders: Folders
  readonly writer: Writer | undefined
  readonly name: (named: NamedPicture) => Promise<void>
}

async function saveOne(saving: Saving, now: Date): Promise<FileReference> {
  const { picture, texts, suffix, folders } = saving
  const type = picture.folder
  const filenamePrefix = type === 'temp' ? picture.filenamePrefix + suffix : picture.filenamePrefix
  const target = saveTarget({ ...picture, filenamePrefix }, folders[type], now)
  const folder = join(folders[type], target.subfolder)
  const isPng = picture.mediaType === 'image/png'
  const bytes = isPng ? insertPngText(picture.bytes, texts) : picture.bytes
  // The disk takes the bytes while their name is found and written down.
  const writing = writePartialFile(folder, bytes, saving.writer)
  const written = writing.catch(() => undefined)
  try {
    const names = namesIn(folder)
    const sha256 = hashOf(bytes)
    const ignoreCase = process.platform === 'win32'
    let counter = nextCounter(await names, target.basename, ignoreCase)
    // It rises with every picture of a batch, also where a file's name does not show it.
    if (target.basename.includes('%batch_num%')) counter += picture.batchIndex
    for (;;) {
      const filename = fileName(target, picture.batchIndex, counter, isPng ? 'png' : 'jpg')
      const file = { filename, subfolder: target.subfolder, type }
      await saving.name({ file, sha256 })
      if (await (await writing).publish(join(folder, filename))) return file
      // Taken meanwhile, or by a name whose counter does not show (%batch_num%).
      counter += 1
    }
  } catch (cause) {
    if (cause instanceof MeshError) throw cause
    const why = (cause as Error).message
    const message = `The picture could not be saved in ${folder}: ${why}. Check that the folder is writable and the disk not full.`
    throw new MeshError('storage_failed', message, { cause })
  } finally {
    await (await written)?.discard()
  }
}

/** None where the folder is only being made. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

const SUFFIX_LETTERS = 'abcdefghijklmnopqrstuvwxyz'

/** Keeps the previews of one node apart from those of another. */
function tempSuffix(): string {
  const letters = Array.from({ length: 5 }, () => SUFFIX_LETTERS[randomInt(SUFFIX_LETTERS.length)])
  return `_temp_${letters.join('')}`
}

function isFileReference(value: unknown): value is FileReference {
  return typeof value === 'object' && value !== null && 'filename' in value && 'type' in value
}

/** Whether the file that was about to be saved lies there, and no other under its name. */
async function isUnchanged({ file, sha256 }: NamedPicture, folders: Folders): Promise<boolean> {
  const path = pathOf(file, folders)
  if (path === undefined) return false
  return readFile(path).then(
    (bytes) => hashOf(bytes) === sha256,
    () => false,
  )
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function pathOf({ filename, subfolder, type }: FileReference, folders: Folders) {
  return containedPath(folders[type], subfolder ? `${subfolder}/${filename}` : filename)
}

async function isThere(file: FileReference, folders: Folders): Promise<boolean> {
  const path = pathOf(file, folders)
  if (path === undefined) return false
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}

/** Only ever a folder called `temp`, so that a slip in the settings empties nothing else. */
async function clearTemp(folder: string): Promise<void> {
  if (basename(folder) === 'temp') {
    // What Windows does not give up, because somebody has it open, waits for the next time.
    await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => {})
  }
  await mkdir(folder, { recursive: true })
}
