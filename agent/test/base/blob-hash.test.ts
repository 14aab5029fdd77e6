/** The hash of a blob: the same however its bytes come, and of each chunk by itself. */
import { createHash, randomBytes } from 'node:crypto'
import { CHUNK_BYTES } from '@comfymesh/protocol/value'
import t from 'tap'
import {
  chunkCount,
  chunkLength,
  createBlobHasher,
  DIGEST_BYTES,
  digestAt,
  hashOfDigests,
} from '../../src/base/blob-hash.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** As protocol/value says it, without streaming. */
function hashByDefinition(bytes: Buffer): string {
  const digests: Buffer[] = []
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    digests.push(sha256(bytes.subarray(at, at + CHUNK_BYTES)))
  }
  return sha256(Buffer.concat(digests)).toString('hex')
}

t.test('sizes around the ends of chunks, in pieces of any size', async (t) => {
  const bytes = randomBytes(2 * CHUNK_BYTES + 1)
  for (const size of [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, bytes.length]) {
    for (const pieceBytes of [1_000_003, CHUNK_BYTES, bytes.length]) {
      const hasher = createBlobHasher()
      for (let at = 0; at < size; at += pieceBytes) {
        hasher.update(bytes.subarray(at, Math.min(size, at + pieceBytes)))
      }
      const { blob, digests } = hasher.finish()
      t.strictSame(blob, { hash: hashByDefinition(bytes.subarray(0, size)), sizeBytes: size })
      t.equal(digests.length, chunkCount(size) * DIGEST_BYTES)
      t.equal(hashOfDigests(digests), blob.hash)
    }
  }
})

t.test('each chunk has its digest', async (t) => {
  const bytes = randomBytes(CHUNK_BYTES + 100)
  const hasher = createBlobHasher()
  hasher.update(bytes)
  const { digests } = hasher.finish()
  t.equal(chunkLength(bytes.length, 0), CHUNK_BYTES)
  t.equal(chunkLength(bytes.length, 1), 100)
  t.strictSame(digestAt(digests, 0), sha256(bytes.subarray(0, CHUNK_BYTES)))
  t.strictSame(digestAt(digests, 1), sha256(bytes.subarray(CHUNK_BYTES)))
  t.equal(digestAt(digests, 2).length, 0, 'there is no such chunk')
})
