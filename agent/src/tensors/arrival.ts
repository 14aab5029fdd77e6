/** A blob that arrives, from however many holders: what verifies it, where it is written, when it is whole. */
import type { Blob } from '@comfymesh/protocol/value'
import { CHUNK_BYTES } from '@comfymesh/protocol/value'
import { digestAt, hashOfDigests } from '../base/blob-hash.ts'
import { type HashThread, sharedRoom } from '../base/hash-thread.ts'
import type { ChunkWork } from './chunk-work.ts'
import { openPartialFile, type PartialFile } from './partial-file.ts'

export interface Arrival {
  /**
   * Takes the digests that a holder tells; those chunks that are on the disk already are done then.
   * @returns false when they are not those of the blob. @throws MeshError `storage_failed`
   */
  begin(digests: Buffer): Promise<boolean>
  /** Verifies a chunk and writes it. @returns false when it is wrong. @throws MeshError `storage_failed` */
  store(chunk: number, bytes: Uint8Array): Promise<boolean>
  /** Memory for a chunk: used again, as fresh memory costs as much as decrypting into it. */
  takeRoom(): Buffer
  giveRoom(room: Buffer): void
  /** Ends all writing. @returns the digests, if somebody told them. */
  close(): Promise<Buffer | undefined>
}

export function createArrival(
  { hash, sizeBytes }: Blob,
  path: string,
  { work, hashing }: { readonly work: ChunkWork; readonly hashing: HashThread },
): Arrival {
  let known: Buffer | undefined
  let opening: Promise<PartialFile> | undefined
  let isClosed = false
  const rooms: Buffer[] = []

  async function openFile(digests: Buffer): Promise<PartialFile> {
    const { file, present } = await openPartialFile(path, sizeBytes, { digests, hashing })
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
    async store(chunk, bytes) {
      if (!digestAt(known!, chunk).equals(await hashing.sha256(bytes))) return false
      // Another holder was faster.
      if (work.isDone(chunk) || isClosed) return true
      await (await opening!).write(chunk, bytes)
      work.done(chunk)
      return true
    },
    takeRoom: () => rooms.pop() ?? sharedRoom(Math.min(CHUNK_BYTES, sizeBytes)),
    giveRoom: (room) => void rooms.push(room),
    async close() {
      isClosed = true
      const file = await opening?.catch(() => undefined)
      await file?.close()
      return known
    },
  }
}
