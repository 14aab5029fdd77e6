/**
 * Values on the wire: gets the blobs of values from the peers that hold them, and gives peers what
 * lies here. What a value means is for those who make and use it; how bytes travel is for mesh/.
 */
import type { Blob } from '@comfymesh/protocol/value'
import type { MeasuredLink } from '../planning/peers.ts'

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
}
