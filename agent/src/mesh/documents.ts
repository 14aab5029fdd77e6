/**
 * The large parts of what peers offer, named by the SHA-256 of their JSON: fetched once, whoever
 * has them, and checked against their name.
 */
import { createHash } from 'node:crypto'
import { MeshError } from '@comfymesh/protocol/errors'
import { type JsonValue, stringifyJson } from '@comfymesh/protocol/json'
import { protocols } from './protocols.ts'
import type { Rpc } from './rpc.ts'

export interface Documents {
  /** Offers a document to the other peers. @returns its digest. */
  offer(document: JsonValue): string
  /** Offers exactly these from now on: what is not among them is withdrawn. */
  keepOffered(digests: Iterable<string>): void
  /**
   * The documents of these digests, from here or from the peer.
   * @throws MeshError `not_found` when the peer lacks one, `peer_incompatible` when it lies; as Rpc.
   */
  fetch(
    peerId: string,
    digests: readonly string[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, JsonValue>>
  start(): Promise<void>
}

/** As much as protocols.ts allows in one request. */
const BATCH = 100
/** Documents of others that are kept; the least used go first. */
const MAX_FETCHED = 20_000

export function digestOf(document: JsonValue): string {
  return createHash('sha256').update(stringifyJson(document)).digest('hex')
}

export function createDocuments(modules: { readonly rpc: Rpc }): Documents {
  const { rpc } = modules
  const offered = new Map<string, JsonValue>()
  const fetched = new Map<string, JsonValue>()

  function known(digest: string): JsonValue | undefined {
    const document = fetched.get(digest)
    if (document === undefined) return offered.get(digest)
    // A Map keeps the order of insertion: now it is the youngest.
    fetched.delete(digest)
    fetched.set(digest, document)
    return document
  }

  function keep(digest: string, document: JsonValue): void {
    fetched.set(digest, document)
    for (const oldest of fetched.keys()) {
      if (fetched.size <= MAX_FETCHED) return
      fetched.delete(oldest)
    }
  }

  async function fetchBatch(peerId: string, digests: string[], signal?: AbortSignal) {
    const options = signal === undefined ? {} : { signal }
    const wanted = new Set(digests)
    for await (const reply of rpc.stream(peerId, protocols.documents, { digests }, options)) {
      const { digest, document } = reply
      if (!wanted.has(digest) || digestOf(document) !== digest) throw lied(peerId, digest)
      keep(digest, document)
    }
  }

  return {
    offer(document) {
      const digest = digestOf(document)
      offered.set(digest, document)
      return digest
    },
    keepOffered(digests) {
      const kept = new Set(digests)
      for (const digest of offered.keys()) if (!kept.has(digest)) offered.delete(digest)
    },
    async fetch(peerId, digests, signal) {
      const missing = [...new Set(digests)].filter((digest) => known(digest) === undefined)
      for (let at = 0; at < missing.length; at += BATCH) {
        await fetchBatch(peerId, missing.slice(at, at + BATCH), signal)
      }
      return new Map(
        digests.map((digest) => {
          const document = known(digest)
          if (document === undefined) throw lacks(peerId, digest)
          return [digest, document]
        }),
      )
    },
    start: () =>
      rpc.handle(protocols.documents, async function* ({ digests }) {
        for (const digest of digests) {
          const document = offered.get(digest)
          if (document !== undefined) yield { digest, document }
        }
      }),
  }
}

function lied(peerId: string, digest: string): MeshError {
  const message = `Peer ${peerId} sent something else than document ${digest}. Bring both machines to the same release.`
  return new MeshError('peer_incompatible', message, { details: { peerId, digest } })
}

function lacks(peerId: string, digest: string): MeshError {
  const message = `Peer ${peerId} does not have document ${digest} any more; its offer has changed.`
  return new MeshError('not_found', message, { details: { peerId, digest } })
}
