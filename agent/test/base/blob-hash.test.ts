/** The hash of a blob: the same however its bytes come, and of each chunk by itself. */
import { randomBytes } from 'node:crypto'
import { CHUNK_BYTES } from '@comfymesh/protocol/value'
import t from 'tap'
import {
  chunkCount,
  chunkLength,
  createBlobHasher,
  createDigester,
  DIGEST_BYTES,
  digestAt,
  digestOf,
  hashOfDigests,
} from '../../src/base/blob-hash.ts'

/**
 * Of BLAKE3's own test vectors: bytes 0, 1, ... 250, 0, 1, ... of some lengths, and their hashes.
 * https://github.com/BLAKE3-team/BLAKE3/blob/master/test_vectors/test_vectors.json
 */
const vectors: [sizeBytes: number, digest: string][] = [
  [0, 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'],
  [1, '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213'],
  [1024, '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7'],
  [1025, 'd00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444'],
  [102_400, 'bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085'],
]

t.test("BLAKE3's own test vectors, whole and in pieces", async (t) => {
  const digester = createDigester()
  for (const [sizeBytes, expected] of vectors) {
    const bytes = Uint8Array.from({ length: sizeBytes }, (_, index) => index % 251)
    t.equal(digestOf(bytes).toString('hex'), expected)
    for (let at = 0; at < sizeBytes; at += 1000) digester.update(bytes.subarray(at, at + 1000))
    t.equal(digester.digest().toString('hex'), expected, 'and anew for the next')
  }
})

/** As protocol/value says it, without streaming. */
function hashByDefinition(bytes: Buffer): string {
  const digests: Buffer[] = []
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    digests.push(digestOf(bytes.subarray(at, at + CHUNK_BYTES)))
  }
  return digestOf(Buffer.concat(digests)).toString('hex')
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
  t.strictSame(digestAt(digests, 0), digestOf(bytes.subarray(0, CHUNK_BYTES)))
  t.strictSame(digestAt(digests, 1), digestOf(bytes.subarray(CHUNK_BYTES)))
  t.equal(digestAt(digests, 2).length, 0, 'there is no such chunk')
})
