/** Peers that reach each other without a network, over libp2p's own stream pairs. */
import '../../src/mesh/polyfill.ts'
import { MeshError } from '@comfymesh/protocol/errors'
import type { Stream } from '@libp2p/interface'
import { streamPair } from '@libp2p/utils'
import { createRpc, incompatible, type Rpc, type Streams } from '../../src/mesh/rpc.ts'

type OnStream = (stream: Stream, peerId: string) => void

export interface MemoryPeer {
  readonly rpc: Rpc
  readonly streams: Streams
  /** What its handlers complained about. */
  readonly warnings: string[]
  /** The last stream that it opened. */
  lastStream(): Stream
  /** All that it opened. */
  readonly opened: readonly Stream[]
  /** While set, nobody reaches it and it reaches nobody; open streams go on. */
  isCutOff: boolean
}

/** Peers by id; each may ask each other. */
export function memoryPeers<const Id extends string>(
  ids: readonly Id[],
  now: () => number = Date.now,
): { readonly [id in Id]: MemoryPeer } {
  const handlers = new Map<string, OnStream>()
  const peers = new Map<string, MemoryPeer>()
  const make = (id: string): MemoryPeer => {
    const opened: Stream[] = []
    const warnings: string[] = []
    const streams: Streams = {
      async open(peerId, protocolId) {
        const isThere = peers.get(peerId)?.isCutOff === false && !peers.get(id)!.isCutOff
        if (!isThere)
          throw new MeshError('peer_unreachable', `no ${peerId}`, { details: { peerId } })
        const onStream = handlers.get(`${peerId}${protocolId}`)
        if (onStream === undefined) throw incompatible(peerId, protocolId, 'it does not know it')
        const [outbound, inbound] = await streamPair()
        outbound.protocol = protocolId
        opened.push(outbound)
        onStream(inbound, id)
        return outbound
      },
      async accept(protocolId, _, onStream) {
        handlers.set(`${id}${protocolId}`, onStream)
      },
    }
    const warn = (message: string) => warnings.push(message)
    const rpc = createRpc({ now }, { streams, releaseOf: () => '0.0.1', warn })
    return { rpc, streams, warnings, opened, lastStream: () => opened.at(-1)!, isCutOff: false }
  }
  for (const id of ids) peers.set(id, make(id))
  return Object.fromEntries(peers) as { [id in Id]: MemoryPeer }
}
