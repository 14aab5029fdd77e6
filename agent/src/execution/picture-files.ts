/**
 * Pictures that nodes hand out become files of this machine, named as ComfyUI
 * names them, with the prompt and the workflow inside.
 */
import { randomInt } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import type { JobRequest } from '@comfymesh/protocol/job'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import { insertPngText } from '../base/png-text.ts'
import type { SavedPicture } from '../executors/executor.ts'
import { containedPath, type FolderSettings } from '../models/folders.ts'
import { fileName, nextCounter, saveTarget } from './file-names.ts'
import { pythonJson } from './python-json.ts'
import { removePartialFiles, writeNewFile } from './whole-file.ts'

/** How ComfyUI tells clients of a file: what GET /view takes. */
export interface FileReference {
  readonly filename: string
  readonly subfolder: string
  readonly type: 'output' | 'temp'
}

export interface PictureFiles {
  /**
   * Saves one node's pictures; each file appears whole or not at all, none is overwritten.
   * @throws MeshError `node_failed` for a prefix that leaves the folder, `storage_failed`.
   */
  save(pictures: readonly SavedPicture[], request: JobRequest): Promise<FileReference[]>
  /** Whether all files that a node's output speaks of are still there. */
  exist(output: JsonObject): Promise<boolean>
  /** Makes the folders, empties the temp folder and removes what a crash left half-written. */
  prepare(): Promise<void>
  /** Empties the temp folder. */
  clearTemp(): Promise<void>
}

export interface PictureFilesOptions {
  readonly now?: () => Date
}

type Folders = Pick<FolderSettings, 'output' | 'temp'>

export function createPictureFiles(
  options: PictureFilesOptions,
  modules: { readonly folders: Folders },
): PictureFiles {
  const { folders } = modules
  const now = options.now ?? (() => new Date())
  return {
    async save(pictures, request) {
      const suffix = tempSuffix()
      const saved: FileReference[] = []
      for (const picture of pictures)
        saved.push(await saveOne(picture, request, suffix, folders, now()))
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
      void removePartialFiles(folders.output).catch(() => {})
    },
    clearTemp: () => clearTemp(folders.temp),
  }
}

async function saveOne(
  picture: SavedPicture,
  request: JobRequest,
  suffix: string,
  folders: Folders,
  now: Date,
): Promise<FileReference> {
  const type = picture.folder
  const filenamePrefix = type === 'temp' ? picture.filenamePrefix + suffix : picture.filenamePrefix
  const target = saveTarget({ ...picture, filenamePrefix }, folders[type], now)
  const folder = join(folders[type], target.subfolder)
  const isPng = picture.mediaType === 'image/png'
  const bytes = isPng ? insertPngText(picture.bytes, pngTexts(request)) : picture.bytes
  try {
    await mkdir(folder, { recursive: true })
    const ignoreCase = process.platform === 'win32'
    let counter = nextCounter(await readdir(folder), target.basename, ignoreCase)
    for (;;) {
      const filename = fileName(target, picture.batchIndex, counter, isPng ? 'png' : 'jpg')
      if (await writeNewFile(join(folder, filename), bytes))
        return { filename, subfolder: target.subfolder, type }
      // Taken meanwhile, or by a name whose counter does not show (%batch_num%).
      counter += 1
    }
  } catch (cause) {
    const why = (cause as Error).message
    const message = `The picture could not be saved in ${folder}: ${why}. Check that the folder is writable and the disk not full.`
    throw new MeshError('storage_failed', message, { cause })
  }
}

/** ComfyUI's text chunks: the prompt, then what the client sent along, the workflow first of all. */
function pngTexts({ prompt, extraData }: JobRequest): [keyword: string, text: string][] {
  const extra = extraData.extra_pnginfo
  const isObject = typeof extra === 'object' && extra !== null && !Array.isArray(extra)
  const entries: [string, JsonValue][] = isObject ? Object.entries(extra) : []
  return [['prompt', prompt as unknown as JsonValue] as [string, JsonValue], ...entries].map(
    ([keyword, value]) => [keyword, pythonJson(value)],
  )
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

async function isThere({ filename, subfolder, type }: FileReference, folders: Folders) {
  const path = containedPath(folders[type], subfolder ? `${subfolder}/${filename}` : filename)
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
