/**
 * Values on the wire: gets the blobs of values from the peers that hold them, and gives peers what
 * lies here. What a value means is for those who make and use it; how bytes travel is for mesh/.
 */
import type { Blob } from '@comfymesh/protocol/value'
import type { Bulk } from '../mesh/bulk.ts'
import type { Channel } from '../mesh/channel.ts'
import type { MeasuredLink } from '../planning/peers.ts'
import type { BlobStore } from '../store/blobs.ts'
import { createBlobFetcher } from './fetch.ts'
import type { FetchOptions } from './fetch-blob.ts'
import { createLinkSpeeds } from './link-speeds.ts'
import { serveChannel } from './serve.ts'

/** A blob and who has it; every ValueReference is one. */
export interface HeldBlob {
  readonly blob: Blob
  /** Ids of peers, in any order; this machine may be among them. */
  readonly holders: readonly string[]
}

export interface Fetched {
  /** What came from other peers for this call; 0 when everything was here, or was on its way already. */
  readonly transferBytes: number
  /** How long it took until all were here. */
  readonly transferMs: number
}

export interface Tensors {
  /**
   * Brings blobs into the blob store of this machine, each verified against its hash, as far as
   * they are not there. Hold their hashes in the store before asking, so that they are still there
   * afterwards.
   * @throws MeshError `corrupt_value` with details `{ peerId, hash }` when nobody but a peer that lied
   *   has it; `value_lost` with details `{ hash, asked }` when the holders have it no more;
   *   `peer_unreachable` with details `{ peerId, hash, asked }`; `storage_failed`; `interrupted`.
   */
  fetch(wanted: readonly HeldBlob[], options: { readonly signal: AbortSignal }): Promise<Fetched>
  /** How fast bytes came from each peer that sent enough to tell. */
  links(): MeasuredLink[]
  /** Answers a channel that a peer opened to this machine. */
  serve(channel: Channel): void
  /** All bytes of blobs since the start. */
  traffic(): Traffic
}

export interface Traffic {
  readonly receivedBytes: number
  readonly sentBytes: number
}

export interface TensorsOptions extends Partial<FetchOptions> {
  readonly selfId: string
}

export interface TensorsModules {
  readonly blobs: BlobStore
  readonly open: Bulk['open']
  /** Milliseconds of a clock that nobody sets. */
  readonly now: () => number
  readonly warn: (message: string) => void
}

/** A peer that restarts is back in less. */
const PATIENCE_MS = 10_000
const DOUBLE_AFTER_MS = 1000
/** Each takes some 12 MB of memory for each holder; a link is full with fewer. */
const FETCHES_AT_ONCE = 3

export function createTensors(options: TensorsOptions, modules: TensorsModules): Tensors {
  const { blobs, now } = modules
  const speeds = createLinkSpeeds(options)
  let receivedBytes = 0
  let sentBytes = 0
  const fetcher = createBlobFetcher(
    { patienceMs: PATIENCE_MS, doubleAfterMs: DOUBLE_AFTER_MS, ...options },
    {
      ...modules,
      speeds,
      onReceived(bytes) {
        receivedBytes += bytes
      },
    },
  )
  const onSent = (bytes: number) => {
    sentBytes += bytes
  }

  return {
    async fetch(wanted, { signal }) {
      const startedAtMs = now()
      const failed = new AbortController()
      const either = AbortSignal.any([signal, failed.signal])
      const left = [...wanted]
      let transferBytes = 0
      async function fetchOneAfterTheOther(): Promise<void> {
        for (let one = left.shift(); one !== undefined; one = left.shift()) {
          const bytes = await fetcher.fetch(one, either)
          transferBytes += bytes
        }
      }
      try {
        await Promise.all(Array.from({ length: FETCHES_AT_ONCE }, fetchOneAfterTheOther))
        return { transferBytes, transferMs: now() - startedAtMs }
      } finally {
        failed.abort()
      }
    },
    links: speeds.links,
    serve: (channel) => void serveChannel(channel, { blobs, onSent }),
    traffic: () => ({ receivedBytes, sentBytes }),
  }
}
