/** Small files that only their owner may read: keys and secrets, written whole or not at all. */
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { makeFolder } from '../base/make-folder.ts'

const OWNER_ONLY_FILE = 0o600
const OWNER_ONLY_FOLDER = 0o700

/**
 * The text of a secret file; undefined where there is none. One that others could read is closed
 * to them: somebody may have copied it without its mode. (Windows keeps the folder's rights.)
 * @throws MeshError `storage_failed`
 */
export function readSecret(path: string): string | undefined {
  if (!existsSync(path)) return undefined
  try {
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, OWNER_ONLY_FILE)
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw failed(`${path} cannot be read`, cause)
  }
}

/** Replaces a secret file; a crash leaves the old one or the new one. @throws MeshError `storage_failed` */
export function writeSecret(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    makeFolder(dirname(dirname(path)))
    mkdirSync(dirname(path), { mode: OWNER_ONLY_FOLDER, recursive: true })
    rmSync(temporary, { force: true })
    const file = openSync(temporary, 'wx', OWNER_ONLY_FILE)
    try {
      writeSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw failed(`${path} cannot be written`, cause)
  }
}

function failed(what: string, cause: unknown): MeshError {
  const message = `${what}: ${(cause as Error).message}. Check the permissions and the disk of the data folder.`
  return new MeshError('storage_failed', message, { cause })
}
