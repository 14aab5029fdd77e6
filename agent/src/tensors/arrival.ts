/** A blob that arrives, from however many holders: what verifies it, where it is written, when it is whole. */
import type { Blob } from '@comfymesh/protocol/value'
import { CHUNK_BYTES } from '@comfymesh/protocol/value'
import { chunkLength, digestAt, digestOf, hashOfDigests } from '../base/blob-hash.ts'
import type { ChunkWork } from './chunk-work.ts'
import { openPartialFile, type PartialFile } from './partial-file.ts'

export interface Arrival {
  /**
   * Takes the digests that a holder tells; those chunks that are on the disk already are done then.
   * @returns false when they are not those of the blob. @throws MeshError `storage_failed`
   */
  begin(digests: Buffer): Promise<boolean>
  /** Makes room for a chunk that comes next. */
  expect(chunk: number): ArrivingChunk
  /** Ends all writing. @returns the digests, if somebody told them. */
  close(): Promise<Buffer | undefined>
}

export interface ArrivingChunk {
  /** To be filled from its beginning to its end. */
  readonly bytes: Buffer
  /**
   * Verifies the chunk and writes it; `bytes` belong to another one then.
   * @returns false when it is wrong. @throws MeshError `storage_failed`
   */
  store(): Promise<boolean>
}

export function createArrival({ hash, sizeBytes }: Blob, path: string, work: ChunkWork): Arrival {
  let known: Buffer | undefined
  let opening: Promise<PartialFile> | undefined
  let isClosed = false
  /** Used again, as fresh memory costs as much as decrypting into it. */
  const rooms: Buffer[] = []

  async function openFile(digests: Buffer): Promise<PartialFile> {
    const { file, present } = await openPartialFile(path, sizeBytes, digests)
    for (const chunk of present) work.done(chunk)
    return file
  }

  return {
    async begin(digests) {
      if (hashOfDigests(digests) !== hash) return false
      known = digests
      opening ??= openFile(digests)
      await opening
      return true
    },
    expect(chunk) {
      const room = rooms.pop() ?? Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, sizeBytes))
      const bytes = room.subarray(0, chunkLength(sizeBytes, chunk))
      return {
        bytes,
        async store() {
          if (!digestAt(known!, chunk).equals(digestOf(bytes))) return false
          // Otherwise another holder was faster.
          if (!work.isDone(chunk) && !isClosed) {
            await (await opening!).write(chunk, bytes)
            work.done(chunk)
          }
          rooms.push(room)
          return true
        },
      }
    },
    async close() {
      isClosed = true
      const file = await opening?.catch(() => undefined)
      await file?.close()
      return known
    },
  }
}
