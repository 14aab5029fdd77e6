/** The hash of a file that is there already, computed in another thread. */
import { open } from 'node:fs/promises'
import { CHUNK_BYTES } from '@comfymesh/protocol/value'
import { type HashedBlob, hashOfDigests } from '../base/blob-hash.ts'
import { createHashThread, sharedRoom } from '../base/hash-thread.ts'

const hashing = createHashThread()

/** @throws Error of the file system. */
export async function hashFile(path: string): Promise<HashedBlob> {
  const file = await open(path, 'r')
  try {
    const list: Buffer[] = []
    const buffer = sharedRoom(CHUNK_BYTES)
    let sizeBytes = 0
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, sizeBytes)
      if (bytesRead === 0) break
      sizeBytes += bytesRead
      list.push(await hashing.sha256(buffer.subarray(0, bytesRead)))
    }
    const digests = Buffer.concat(list)
    return { blob: { hash: hashOfDigests(digests), sizeBytes }, digests }
  } finally {
    await file.close()
  }
}
