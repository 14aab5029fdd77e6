/**
 * Fetches one blob from those who hold it. Each holder is a worker of its own that takes chunks
 * until none are left; a link that breaks is tried again, a holder that lies is not.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Blob } from '@comfymesh/protocol/value'
import { chunkCount } from '../base/blob-hash.ts'
import type { BlobStore } from '../store/blobs.ts'
import { createArrival } from './arrival.ts'
import { createChunkWork } from './chunk-work.ts'
import { drawFrom, type SessionModules } from './holder-session.ts'

export interface FetchOptions {
  /** A holder whose link breaks is tried again for so long after it brought the last chunk. */
  readonly patienceMs: number
  /** So long a chunk may be under way before another holder is asked for it as well. */
  readonly doubleAfterMs: number
}

export interface FetchModules extends SessionModules {
  readonly blobs: Pick<BlobStore, 'adopt' | 'partialFile'>
  readonly warn: (message: string) => void
}

export interface Wanted {
  readonly blob: Blob
  /** Ids of other peers. */
  readonly holders: readonly string[]
  /** Told of the bytes of each chunk that came, wanted or not. */
  readonly onBytes: (peerId: string, bytes: number) => void
}

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 1000

/** @throws MeshError as `Tensors.fetch`. */
export async function fetchBlob(
  { blob, holders, onBytes }: Wanted,
  options: FetchOptions,
  modules: FetchModules,
  signal: AbortSignal,
): Promise<void> {
  const { now, blobs, warn } = modules
  const work = createChunkWork({ ...options, chunkCount: chunkCount(blob.sizeBytes), now })
  const path = blobs.partialFile(blob.hash)
  const arrival = createArrival(blob, path, work)
  const failures = new Map<string, MeshError>()
  const enough = new AbortController()
  const over = AbortSignal.any([signal, enough.signal])
  over.addEventListener('abort', work.stop)

  async function keepDrawing(peerId: string): Promise<void> {
    let failingSinceMs: number | undefined
    let pauseMs = FIRST_PAUSE_MS
    const onChunk = (bytes: number) => {
      failingSinceMs = undefined
      pauseMs = FIRST_PAUSE_MS
      onBytes(peerId, bytes)
    }
    while (!over.aborted) {
      const worker = work.join()
      const session = { peerId, blob, work, worker, arrival, onChunk }
      try {
        const first = await worker.next()
        if (first !== undefined) await drawFrom(session, first, modules, over)
        return
      } catch (thrown) {
        if (over.aborted) return
        const error = MeshError.from(thrown)
        failures.set(peerId, error)
        if (error.code === 'storage_failed') enough.abort()
        if (error.code === 'corrupt_value') warn(error.message)
        failingSinceMs ??= now()
        if (isFinal(error) || now() - failingSinceMs > options.patienceMs) return
      } finally {
        worker.leave()
      }
      await pause(pauseMs, over)
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
    }
  }

  try {
    await Promise.all(
      holders.map(async (peerId) => {
        await keepDrawing(peerId)
        // A slow one that doubles the last chunk need not end it.
        if (work.isComplete()) enough.abort()
      }),
    )
    if (signal.aborted) throw cancelled(blob.hash)
    if (!work.isComplete()) throw failureOf(blob.hash, failures)
    await blobs.adopt(path, blob, await arrival.close())
  } finally {
    enough.abort()
    await arrival.close()
  }
}

/** Asking the same peer again would not help. */
function isFinal({ code }: MeshError): boolean {
  return code !== 'peer_unreachable' && code !== 'busy'
}

function cancelled(hash: string): MeshError {
  return new MeshError('interrupted', `Fetching the blob ${hash} was cancelled.`)
}

/** What weighs most: our own disk, then a liar, then somebody who may come back. */
const GRAVITY = ['storage_failed', 'corrupt_value', 'peer_unreachable', 'busy']

function failureOf(hash: string, failures: ReadonlyMap<string, MeshError>): MeshError {
  const weight = ({ code }: MeshError) => (GRAVITY.indexOf(code) + GRAVITY.length) % GRAVITY.length
  const isLost = ({ code }: MeshError) => code === 'value_lost'
  const all = [...failures.values()]
  const told = all.filter((one) => !isLost(one)).sort((a, b) => weight(a) - weight(b))[0]
  const asked = [...failures].map(([peerId, { code }]) => ({ peerId, code }))
  if (told !== undefined) {
    const details = { ...told.details, hash, asked }
    return new MeshError(told.code, told.message, { details, cause: told })
  }
  const names = asked.map(({ peerId }) => peerId).join(', ')
  const message = `The blob ${hash} is lost: ${names || 'nobody'} was asked and does not have it any more. The stage that made it has to run again.`
  return new MeshError('value_lost', message, { details: { hash, asked } })
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end)
  })
}
