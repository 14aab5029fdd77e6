/** Fetches blobs: what is here stays, what is on its way is waited for, the rest comes from its holders. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { BlobStore } from '../store/blobs.ts'
import { type FetchModules, type FetchOptions, fetchBlob } from './fetch-blob.ts'
import type { HeldBlob } from './tensors.ts'

export interface BlobFetcher {
  /**
   * @returns how many bytes came for this call.
   * @throws MeshError as `Tensors.fetch`.
   */
  fetch(wanted: HeldBlob, signal: AbortSignal): Promise<number>
}

export interface BlobFetcherModules extends Omit<FetchModules, 'blobs'> {
  readonly blobs: BlobStore
  readonly onReceived: (bytes: number) => void
}

/** A blob on its way, for all who wait for it. */
interface Ongoing {
  readonly arrived: Promise<void>
  readonly cancel: () => void
  waiting: number
}

export function createBlobFetcher(
  options: FetchOptions & { readonly selfId: string },
  modules: BlobFetcherModules,
): BlobFetcher {
  const { blobs } = modules
  const ongoing = new Map<string, Ongoing>()

  function begin({ blob, holders }: HeldBlob, onBytes: (bytes: number) => void): Ongoing {
    const cancelling = new AbortController()
    const others = [...new Set(holders)].filter((peerId) => peerId !== options.selfId)
    const wanted = {
      blob,
      holders: others,
      onBytes(_: string, bytes: number) {
        modules.onReceived(bytes)
        onBytes(bytes)
      },
    }
    const release = blobs.hold([blob.hash])
    const arrived = fetchBlob(wanted, options, modules, cancelling.signal).finally(() => {
      release()
      ongoing.delete(blob.hash)
    })
    const one = { arrived, cancel: () => cancelling.abort(), waiting: 0 }
    ongoing.set(blob.hash, one)
    return one
  }

  return {
    async fetch(wanted, signal) {
      const { hash, sizeBytes } = wanted.blob
      // Nobody has to be asked for nothing.
      if (sizeBytes === 0) await blobs.put(Buffer.alloc(0))
      let bytes = 0
      const count = (more: number) => {
        bytes += more
      }
      while (blobs.path(hash) === undefined) {
        const known = ongoing.get(hash)
        // What others began may be cancelled, or know of fewer holders: then it is tried once more.
        if (known !== undefined) await waitFor(known, signal, hash).catch(unlessOver(signal))
        else await waitFor(begin(wanted, count), signal, hash)
      }
      return bytes
    },
  }
}

/** @throws MeshError as it ends, or `interrupted`; whoever waits last takes it along. */
async function waitFor(one: Ongoing, signal: AbortSignal, hash: string): Promise<void> {
  one.waiting++
  try {
    await unlessAborted(one.arrived, signal, hash)
  } finally {
    one.waiting--
    if (one.waiting === 0) one.cancel()
  }
}

function unlessOver(signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (signal.aborted) throw error
  }
}

function unlessAborted(arrived: Promise<void>, signal: AbortSignal, hash: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () =>
      reject(new MeshError('interrupted', `Fetching the blob ${hash} was cancelled.`))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
    arrived.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
