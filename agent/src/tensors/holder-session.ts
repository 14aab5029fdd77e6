/** One channel to one holder, over which as many chunks come as it gets to send. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Blob } from '@comfymesh/protocol/value'
import { z } from 'zod'
import { chunkCount, DIGEST_BYTES } from '../base/blob-hash.ts'
import type { Bulk } from '../mesh/bulk.ts'
import type { Channel } from '../mesh/channel.ts'
import type { Arrival, ArrivingChunk } from './arrival.ts'
import type { ChunkWork, ChunkWorker } from './chunk-work.ts'
import type { LinkSpeeds } from './link-speeds.ts'
import { encodeMessage, encodeNumber, readAnswer } from './messages.ts'

export interface HolderSession {
  readonly peerId: string
  readonly blob: Blob
  readonly work: ChunkWork
  readonly worker: ChunkWorker
  readonly arrival: Arrival
  /** Told of each chunk that came, wanted or not. */
  readonly onChunk: (bytes: number) => void
}

export interface SessionModules {
  readonly open: Bulk['open']
  readonly speeds: LinkSpeeds
  readonly now: () => number
}

/** Below this a TLS connection takes longer to set up than the libp2p stream takes in all. */
const DIRECT_FROM_BYTES = 1024 * 1024
/** So many chunks of a session are under way: one arrives while others are asked for and written. */
const LANES = 3

/**
 * Fetches chunks from a holder until none are left.
 * @param first a chunk that the worker took already.
 * @throws MeshError `peer_unreachable` when the link breaks, `corrupt_value`, `value_lost`,
 *   `peer_incompatible`, `busy`, `storage_failed`
 */
export async function drawFrom(
  session: HolderSession,
  first: number,
  modules: SessionModules,
  signal: AbortSignal,
): Promise<void> {
  const { peerId, blob } = session
  let channel: Channel | undefined
  const stop = () => channel?.destroy()
  signal.addEventListener('abort', stop)
  try {
    const direct = blob.sizeBytes >= DIRECT_FROM_BYTES
    channel = await modules.open(peerId, { direct, signal })
    signal.throwIfAborted()
    await agree(channel, session, modules)
    await drawChunks(channel, session, first, modules)
    channel.close()
  } catch (thrown) {
    channel?.destroy()
    throw asMeshError(thrown, peerId, blob.hash)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Names the blob; the holder tells the digests of its chunks. */
async function agree(
  channel: Channel,
  { peerId, blob, arrival }: HolderSession,
  { speeds, now }: SessionModules,
): Promise<void> {
  const digests = Buffer.allocUnsafe(chunkCount(blob.sizeBytes) * DIGEST_BYTES)
  const askedAtMs = now()
  await channel.write(encodeMessage(blob))
  await readAnswer(channel, digests)
  speeds.answered(peerId, now() - askedAtMs)
  if (!(await arrival.begin(digests))) throw corrupt(peerId, blob.hash)
}

async function drawChunks(
  channel: Channel,
  { peerId, blob, work, worker, arrival, onChunk }: HolderSession,
  first: number,
  { speeds, now }: SessionModules,
): Promise<void> {
  const startedAtMs = now()
  let endedAtMs = startedAtMs
  let movedBytes = 0
  let lastReply: Promise<unknown> = Promise.resolve()
  let failure: { readonly error: unknown } | undefined

  /** Replies come in the order of the requests, whatever lane each is for. */
  function exchange(chunk: number): Promise<ArrivingChunk> {
    const asked = Promise.all([channel.write(encodeNumber(chunk)), lastReply])
    const reply = asked.then(async () => {
      // Not before: the less memory is used in turn, the more of it is in the processor's cache.
      const arriving = arrival.expect(chunk)
      await channel.read(arriving.bytes)
      return arriving
    })
    lastReply = reply
    return reply
  }

  async function lane(begin: number | undefined): Promise<void> {
    for (let chunk = begin; chunk !== undefined; chunk = await worker.next()) {
      if (work.isDone(chunk)) continue
      const arriving = await exchange(chunk)
      endedAtMs = now()
      movedBytes += arriving.bytes.length
      onChunk(arriving.bytes.length)
      if (!(await arriving.store())) throw corrupt(peerId, blob.hash)
    }
  }

  const lanes = Array.from({ length: LANES }, async (_, index) => {
    try {
      await lane(index === 0 ? first : await worker.next())
    } catch (error) {
      failure ??= { error }
      channel.destroy()
      worker.leave()
    }
  })
  // All of them: what has arrived is stored, whatever became of the channel.
  await Promise.all(lanes)
  speeds.moved(peerId, movedBytes, endedAtMs - startedAtMs)
  if (failure !== undefined) throw failure.error
}

function corrupt(peerId: string, hash: string): MeshError {
  const message = `Peer ${peerId} sent other bytes than those of the blob ${hash}. Check the disk and the memory of that machine.`
  return new MeshError('corrupt_value', message, { details: { peerId, hash } })
}

function asMeshError(thrown: unknown, peerId: string, hash: string): MeshError {
  if (thrown instanceof MeshError) return thrown
  const details = { peerId, hash }
  if (thrown instanceof z.ZodError || thrown instanceof SyntaxError) {
    const message = `Peer ${peerId} answers a request for a blob in a way that this comfymesh does not understand. Bring both to the same release.`
    return new MeshError('peer_incompatible', message, { details, cause: thrown })
  }
  const why = (thrown as Error).message
  const message = `The link to peer ${peerId} broke while the blob ${hash} came: ${why}. Check that its agent runs and that the network is up.`
  return new MeshError('peer_unreachable', message, { details, cause: thrown })
}
