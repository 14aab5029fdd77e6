/** Gives peers the blobs that lie here, chunk by chunk. */
import { type FileHandle, open } from 'node:fs/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import { blobSchema, CHUNK_BYTES } from '@comfymesh/protocol/value'
import { chunkCount, chunkLength } from '../base/blob-hash.ts'
import type { Channel } from '../mesh/channel.ts'
import type { BlobStore } from '../store/blobs.ts'
import { acceptance, readMessage, readNumber, refusal } from './messages.ts'

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
    const next = chunkReader(file, sizeBytes, channel)
    let upcoming = next()
    for (;;) {
      const chunk = await upcoming
      // Read from the disk while this one goes out.
      upcoming = next()
      upcoming.catch(() => {})
      await channel.write(chunk)
      onSent(chunk.length)
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
 * Reads the chunks that the peer asks for. One is valid until the next but one is asked for.
 * @returns reads the next chunk. @throws Error (from it) when the peer has ended or asks nonsense.
 */
function chunkReader(file: FileHandle, sizeBytes: number, channel: Channel) {
  const room = Math.min(CHUNK_BYTES, sizeBytes)
  const buffers = [Buffer.allocUnsafeSlow(room), Buffer.allocUnsafeSlow(room)] as const
  let which = 0

  return async function next(): Promise<Buffer> {
    const chunk = await readNumber(channel)
    if (chunk >= chunkCount(sizeBytes)) throw new Error(`there is no chunk ${chunk}`)
    which = 1 - which
    const bytes = buffers[which]!.subarray(0, chunkLength(sizeBytes, chunk))
    const { bytesRead } = await file.read(bytes, 0, bytes.length, chunk * CHUNK_BYTES)
    if (bytesRead < bytes.length) throw new Error('the file was cut off')
    return bytes
  }
}
