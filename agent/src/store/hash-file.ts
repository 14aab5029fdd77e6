/** The hash of a file that is there already. */
import { open } from 'node:fs/promises'
import { CHUNK_BYTES } from '@comfymesh/protocol/value'
import { createBlobHasher, type HashedBlob } from '../base/blob-hash.ts'

/** A chunk at a time, which keeps the thread for a millisecond. @throws Error of the file system. */
export async function hashFile(path: string): Promise<HashedBlob> {
  const file = await open(path, 'r')
  try {
    const hasher = createBlobHasher()
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES)
      if (bytesRead === 0) return hasher.finish()
      hasher.update(buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}
