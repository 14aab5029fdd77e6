/** Gives peers the blobs that lie here, chunk by chunk. */
import { type FileHandle, open } from 'node:fs/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import { blobSchema, CHUNK_BYTES } from '@comfymesh/protocol/value'
import { chunkCount, chunkLength } from '../base/blob-hash.ts'
import type { Channel } from '../mesh/channel.ts'
import type { BlobStore } from '../store/blobs.ts'
import { acceptance, chunkRequestSchema, readMessage, refusal } from './messages.ts'

/**
 * A file is read in such pieces, two for each channel: large writes are cheap, and some hundred
 * channels at once must fit into memory.
 */
const PIECE_BYTES = 1024 * 1024

export interface ServeModules {
  readonly blobs: Pick<BlobStore, 'path' | 'sizeBytes' | 'chunkDigests' | 'hold'>
  /** Told of bytes that go out. */
  readonly onSent: (bytes: number) => void
}

/** Answers one channel until the peer ends it. Never throws: how it ends is the other side's to tell. */
export async function serveChannel(channel: Channel, modules: ServeModules): Promise<void> {
  try {
    const { hash, sizeBytes } = await readMessage(channel, blobSchema)
    const release = modules.blobs.hold([hash])
    try {
      await serveBlob(channel, { hash, sizeBytes }, modules)
    } finally {
      release()
    }
    channel.close()
  } catch {
    channel.destroy()
  }
}

async function serveBlob(
  channel: Channel,
  { hash, sizeBytes }: { readonly hash: string; readonly sizeBytes: number },
  { blobs, onSent }: ServeModules,
): Promise<void> {
  const opened = await openBlob(hash, sizeBytes, blobs)
  if (opened instanceof MeshError) return channel.write(refusal(opened.toReport()))
  const { file, digests } = opened
  try {
    await channel.write(Buffer.concat([acceptance, digests]))
    const reader = pieceReader(file, sizeBytes, channel)
    let upcoming = reader()
    for (;;) {
      const piece = await upcoming
      // Read from the disk while this one goes out.
      upcoming = reader()
      upcoming.catch(() => {})
      await channel.write(piece)
      onSent(piece.length)
    }
  } finally {
    await file.close()
  }
}

/** @returns the error to tell where the blob is not here. */
async function openBlob(
  hash: string,
  sizeBytes: number,
  blobs: ServeModules['blobs'],
): Promise<{ readonly file: FileHandle; readonly digests: Buffer } | MeshError> {
  const path = blobs.path(hash)
  const lost = new MeshError('value_lost', `The blob ${hash} is not here any more.`)
  if (path === undefined || blobs.sizeBytes(hash) !== sizeBytes) return lost
  try {
    const digests = await blobs.chunkDigests(hash)
    return digests === undefined ? lost : { file: await open(path, 'r'), digests }
  } catch (thrown) {
    // Somebody cleared the folder.
    return (thrown as NodeJS.ErrnoException).code === 'ENOENT' ? lost : MeshError.from(thrown)
  }
}

/**
 * Reads the chunks that the peer asks for in pieces. A piece is valid until the next but one is asked for.
 * @returns reads the next piece. @throws Error (from it) when the peer has ended or asks nonsense.
 */
function pieceReader(file: FileHandle, sizeBytes: number, channel: Channel) {
  const room = Math.min(PIECE_BYTES, sizeBytes)
  const buffers = [Buffer.allocUnsafeSlow(room), Buffer.allocUnsafeSlow(room)] as const
  let which = 0
  let at = 0
  let end = 0

  return async function next(): Promise<Buffer> {
    if (at === end) {
      const { chunk } = await readMessage(channel, chunkRequestSchema)
      if (chunk >= chunkCount(sizeBytes)) throw new Error(`there is no chunk ${chunk}`)
      at = chunk * CHUNK_BYTES
      end = at + chunkLength(sizeBytes, chunk)
      return acceptance
    }
    which = 1 - which
    const wanted = Math.min(PIECE_BYTES, end - at)
    const { bytesRead } = await file.read(buffers[which]!, 0, wanted, at)
    if (bytesRead === 0) throw new Error('the file was cut off')
    at += bytesRead
    return buffers[which]!.subarray(0, bytesRead)
  }
}
