/** Peers that reach each other without a network, over libp2p's own stream pairs. */
import '../../src/mesh/polyfill.ts'
import { MeshError } from '@comfymesh/protocol/errors'
import type { Stream } from '@libp2p/interface'
import { streamPair } from '@libp2p/utils'
import { createRpc, type Rpc, type Streams } from '../../src/mesh/rpc.ts'

type OnStream = (stream: Stream, peerId: string) => void

export interface MemoryPeer {
  readonly rpc: Rpc
  readonly streams: Streams
  /** What its handlers complained about. */
  readonly warnings: string[]
  /** The last stream that it opened. */
  lastStream(): Stream
}

/** Peers by id; each may ask each other. */
export function memoryPeers<const Id extends string>(
  ids: readonly Id[],
  now: () => number = Date.now,
): { readonly [id in Id]: MemoryPeer } {
  const handlers = new Map<string, OnStream>()
  const peer = (id: string): MemoryPeer => {
    let last: Stream
    const warnings: string[] = []
    const streams: Streams = {
      async open(peerId, protocolId) {
        const onStream = handlers.get(`${peerId}${protocolId}`)
        if (onStream === undefined) throw new MeshError('peer_unreachable', `no ${peerId}`)
        const [outbound, inbound] = await streamPair()
        last = outbound
        onStream(inbound, id)
        return outbound
      },
      async accept(protocolId, _, onStream) {
        handlers.set(`${id}${protocolId}`, onStream)
      },
    }
    const rpc = createRpc({ now }, { streams, warn: (message) => warnings.push(message) })
    return { rpc, streams, warnings, lastStream: () => last }
  }
  return Object.fromEntries(ids.map((id) => [id, peer(id)])) as { [id in Id]: MemoryPeer }
}
