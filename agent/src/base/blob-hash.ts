/** The hash of a blob, computed while its bytes are written: what protocol/value describes. */
import { type Blob, CHUNK_BYTES } from '@comfymesh/protocol/value'
import { Blake3Hasher } from '@napi-rs/blake-hash'

/** Of a BLAKE3, as long as it is by default. */
export const DIGEST_BYTES = 32

/** What was hashed: its name, and what verifies each of its chunks by itself. */
export interface HashedBlob {
  readonly blob: Blob
  /** The digest of each chunk, one after the other. */
  readonly digests: Buffer
}

export interface BlobHasher {
  /** Takes the next bytes, however many. */
  update(bytes: Uint8Array): void
  finish(): HashedBlob
}

/** The digest of bytes that come one after the other. */
export interface Digester {
  update(bytes: Uint8Array): void
  /** Of everything since the last one. */
  digest(): Buffer
}

/** In the calling thread: some 5 GB/s in pieces of 64 KB and more, a half less in pieces of 4 KB. */
export function createDigester(): Digester {
  const hasher = new Blake3Hasher()
  return {
    update(bytes) {
      hasher.update(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    },
    digest() {
      const digest = hasher.digestBuffer()
      hasher.reset()
      return digest
    },
  }
}

/** Of a chunk, or of the list of the digests of all. */
export function digestOf(bytes: Uint8Array): Buffer {
  const digester = createDigester()
  digester.update(bytes)
  return digester.digest()
}

export function createBlobHasher(): BlobHasher {
  const digests: Buffer[] = []
  const chunk = createDigester()
  let chunkBytes = 0
  let sizeBytes = 0

  function endChunk(): void {
    digests.push(chunk.digest())
    chunkBytes = 0
  }

  return {
    update(bytes) {
      for (let at = 0; at < bytes.length; ) {
        const piece = bytes.subarray(at, at + CHUNK_BYTES - chunkBytes)
        chunk.update(piece)
        at += piece.length
        chunkBytes += piece.length
        sizeBytes += piece.length
        if (chunkBytes === CHUNK_BYTES) endChunk()
      }
    },
    finish() {
      if (chunkBytes > 0) endChunk()
      const all = Buffer.concat(digests)
      return { blob: { hash: hashOfDigests(all), sizeBytes }, digests: all }
    },
  }
}

/** The hash of the blob whose chunks have these digests. */
export function hashOfDigests(digests: Uint8Array): string {
  return digestOf(digests).toString('hex')
}

export function chunkCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / CHUNK_BYTES)
}

/** How long a chunk of a blob is; only the last may be shorter than CHUNK_BYTES. */
export function chunkLength(sizeBytes: number, index: number): number {
  return Math.min(CHUNK_BYTES, sizeBytes - index * CHUNK_BYTES)
}

/** The digest of the chunk at `index`; empty where there is none. */
export function digestAt(digests: Buffer, index: number): Buffer {
  return digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)
}
