/** The file of a blob that arrives: chunks are written where they belong, and found again after a break. */
import { type FileHandle, open, rm } from 'node:fs/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import { CHUNK_BYTES } from '@comfymesh/protocol/value'
import { chunkCount, chunkLength, digestAt, digestOf } from '../base/blob-hash.ts'

export interface PartialFile {
  /** @throws MeshError `storage_failed`; the file is given up then, for the room it takes. */
  write(chunk: number, bytes: Uint8Array): Promise<void>
  /** When what is to be written has been. */
  close(): Promise<void>
}

/**
 * Opens the file, or makes it.
 * @param digests of all chunks.
 * @returns with the chunks that are whole already, from a fetch that broke off.
 * @throws MeshError `storage_failed`
 */
export async function openPartialFile(
  path: string,
  sizeBytes: number,
  digests: Buffer,
): Promise<{ readonly file: PartialFile; readonly present: readonly number[] }> {
  const handle = await storing(path, () => open(path, 'r+').catch(() => open(path, 'w+')))
  try {
    const present = await storing(path, () => wholeChunks(handle, sizeBytes, digests))
    let writing: Promise<void> = Promise.resolve()
    return {
      present,
      file: {
        write(chunk, bytes) {
          // One after the other: the system lets no two write to a file at once, and whoever has to
          // wait for that spins.
          const write = () => writeAll(handle, bytes, chunk * CHUNK_BYTES)
          const written = writing.then(() => storing(path, write))
          writing = written.catch(() => {})
          return written
        },
        close: () => writing.then(() => handle.close()),
      },
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function wholeChunks(
  handle: FileHandle,
  sizeBytes: number,
  digests: Buffer,
): Promise<number[]> {
  const { size } = await handle.stat()
  if (size > sizeBytes) await handle.truncate(sizeBytes)
  const present: number[] = []
  if (size === 0) return present
  const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, sizeBytes))
  for (let chunk = 0; chunk < chunkCount(sizeBytes); chunk++) {
    const bytes = buffer.subarray(0, chunkLength(sizeBytes, chunk))
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, chunk * CHUNK_BYTES)
    if (bytesRead < bytes.length) continue
    if (digestAt(digests, chunk).equals(digestOf(bytes))) present.push(chunk)
  }
  return present
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}

async function storing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    // On a full disk what is half there is in the way.
    await rm(path, { force: true }).catch(() => {})
    const why = (cause as Error).message
    const message = `A value could not be written to ${path}: ${why}. Free some space, or check the disk of the data folder.`
    throw new MeshError('storage_failed', message, { cause })
  }
}
