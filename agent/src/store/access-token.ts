/**
 * The token that other machines show to use this agent. It is made at first need and kept in
 * the data folder, for its owner alone; on Windows the folder's own permissions see to that.
 */
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { makeFolder } from '../base/make-folder.ts'

const TOKEN_FILE = 'token'

/** As many as a key of AES-256 has; nobody guesses them. */
const TOKEN_BYTES = 32

/** What a token may be, so that it fits into a URL, a header and a cookie as it is. */
export const TOKEN_SHAPE = /^[A-Za-z0-9._~-]{16,256}$/

/**
 * The token of a data folder, made where there is none.
 * @returns a function, because a token that was rotated counts at once: the file is looked at
 *   again whenever it changed. While it cannot be read the last one counts.
 * @throws MeshError `storage_failed`, or `invalid_settings` where somebody wrote no token there.
 */
export function openAccessToken(dataDir: string): () => string {
  const file = join(dataDir, TOKEN_FILE)
  let token = readAccessToken(dataDir) ?? rotateAccessToken(dataDir)
  let version = versionOf(file)
  return () => {
    const now = versionOf(file)
    if (now === version) return token
    try {
      token = readAccessToken(dataDir) ?? token
      version = now
    } catch {
      // It is just being changed, or damaged; the next request looks again.
    }
    return token
  }
}

/** @throws MeshError `storage_failed`, or `invalid_settings` where the file holds no token. */
export function readAccessToken(dataDir: string): string | undefined {
  const file = join(dataDir, TOKEN_FILE)
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? ''))
      return undefined
    throw unusable(file, 'read', cause)
  }
  if (TOKEN_SHAPE.test(text)) return text
  const message = `${file} holds no token. Run \`comfymesh token --rotate\` to make a new one.`
  throw new MeshError('invalid_settings', message)
}

/** Makes a new token; the old one opens nothing any more. @throws MeshError `storage_failed`. */
export function rotateAccessToken(dataDir: string): string {
  const file = join(dataDir, TOKEN_FILE)
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const partial = `${file}-${randomUUID()}`
  try {
    makeFolder(dataDir)
    writeFileSync(partial, `${token}\n`, { mode: 0o600, flag: 'wx', flush: true })
    renameSync(partial, file)
  } catch (cause) {
    rmSync(partial, { force: true })
    throw unusable(file, 'written', cause)
  }
  return token
}

/** Compares in a time that tells nothing about the token. */
export function isSameToken(given: string, token: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(given), hash(token))
}

function unusable(file: string, action: 'read' | 'written', cause: unknown): MeshError {
  const message = `The token in ${file} cannot be ${action}: ${(cause as Error).message}. Check the permissions of the data folder.`
  return new MeshError('storage_failed', message, { cause })
}

function versionOf(file: string): string {
  try {
    const { ino, mtimeMs } = statSync(file)
    return `${ino} ${mtimeMs}`
  } catch {
    return 'absent'
  }
}
