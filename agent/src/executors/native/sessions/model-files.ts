/**
 * Opened model files, remembered by what they are and not by what they are called:
 * a file that was replaced is another file.
 */
import { realpathSync, statSync } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import { type Checkpoint, describeCheckpoint } from '../../../models/family.ts'
import { openSafetensors } from '../../../models/safetensors.ts'
import { type Lora, openLora } from '../graphs/lora.ts'

export interface ModelFile<T> {
  /** Real path, size and time of the last change, in one string. */
  readonly identity: string
  readonly content: T
}

export interface ModelFiles {
  /** @throws MeshError `not_found`, `malformed_file`, `unsupported_model` */
  checkpoint(path: string): Promise<ModelFile<Checkpoint>>
  /** A LoRA as matched to a checkpoint. @throws MeshError as above */
  lora(path: string, checkpoint: ModelFile<Checkpoint>): Promise<ModelFile<Lora>>
}

/** Headers are small (100 kB of names); this many cover any sensible prompt. */
const MAX_REMEMBERED = 32

export interface ModelFilesOptions {
  /**
   * Whether files are looked up at once, and not by another thread: for a process that has nothing
   * else to do, which a hop to a thread and back keeps waiting for 0.3 ms and more.
   */
  readonly isBlocking?: boolean
}

export function createModelFiles(options: ModelFilesOptions = {}): ModelFiles {
  const look = options.isBlocking === true ? lookNow : lookElsewhere
  const checkpoints = new Map<string, Checkpoint>()
  const loras = new Map<string, Lora>()

  return {
    checkpoint: async (path) => {
      const identity = await identify(path, look)
      const content = await remember(checkpoints, identity, async () =>
        describeCheckpoint(await openSafetensors(path)),
      )
      return { identity, content }
    },
    lora: async (path, checkpoint) => {
      const identity = await identify(path, look)
      const content = await remember(loras, `${identity} on ${checkpoint.identity}`, async () =>
        openLora(await openSafetensors(path), checkpoint.content),
      )
      return { identity, content }
    },
  }
}

interface Found {
  readonly realPath: string
  readonly size: number
  readonly mtimeMs: number
}

type Look = (path: string) => Found | Promise<Found>

const lookNow: Look = (path) => {
  const { size, mtimeMs } = statSync(path)
  return { realPath: realpathSync.native(path), size, mtimeMs }
}

const lookElsewhere: Look = async (path) => {
  const [{ size, mtimeMs }, realPath] = await Promise.all([stat(path), realpath(path)])
  return { realPath, size, mtimeMs }
}

async function identify(path: string, look: Look): Promise<string> {
  try {
    const { realPath, size, mtimeMs } = await look(path)
    return `${realPath} ${size} ${mtimeMs}`
  } catch (cause) {
    const message = `The model file ${path} is not there any more. Choose another, or put it back.`
    throw new MeshError('not_found', message, { details: { path }, cause })
  }
}

async function remember<T>(kept: Map<string, T>, key: string, open: () => Promise<T>): Promise<T> {
  const value = kept.get(key) ?? (await open())
  kept.delete(key)
  kept.set(key, value)
  const [oldest] = kept.keys()
  if (kept.size > MAX_REMEMBERED && oldest !== undefined) kept.delete(oldest)
  return value
}
