/** Who is there: follows the advertisement of every connected peer. */
import type { Advertisement } from '@comfymesh/protocol/advertisement'
import type { MeshNode } from './node.ts'
import { protocols } from './protocols.ts'
import type { Rpc } from './rpc.ts'

/** Pauses before asking again a peer whose stream broke while its connection lives. */
const AGAIN_MS = 250

export interface PresentPeer {
  readonly peerId: string
  readonly advertisement: Advertisement
}

export interface Presence {
  start(): void
  stop(): void
  /** The peers whose advertisement is known and whose connection lives. */
  present(): PresentPeer[]
  /** What a peer said last, also when it is gone. */
  lastSaid(peerId: string): Advertisement | undefined
}

export interface PresenceModules {
  readonly node: Pick<MeshNode, 'connections' | 'onConnection'>
  readonly rpc: Pick<Rpc, 'stream'>
  readonly onArrived: (peer: PresentPeer) => void
  readonly onAdvertisement: (peer: PresentPeer) => void
  readonly onGone: (peer: PresentPeer) => void
}

interface Followed {
  advertisement?: Advertisement
}

export function createPresence(modules: PresenceModules): Presence {
  const { node, rpc } = modules
  const followed = new Map<string, Followed>()
  const said = new Map<string, Advertisement>()
  const stopped = new AbortController()

  /** Until its last connection ends, however often the stream breaks before. */
  async function follow(peerId: string): Promise<void> {
    if (followed.has(peerId)) return
    const peer: Followed = {}
    followed.set(peerId, peer)
    while (!stopped.signal.aborted && node.connections(peerId).length > 0) {
      try {
        const { signal } = stopped
        const request = { pulses: false }
        for await (const news of rpc.stream(peerId, protocols.advertisement, request, { signal })) {
          if (news.advertisement !== undefined) learn(peerId, peer, news.advertisement)
        }
      } catch {
        // The connection ended, or it will be ended for its silence.
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
    followed.delete(peerId)
    if (stopped.signal.aborted) return
    const { advertisement } = peer
    if (advertisement !== undefined) modules.onGone({ peerId, advertisement })
    // A connection that opened since the last look found this loop still there.
    if (node.connections(peerId).length > 0) void follow(peerId)
  }

  function learn(peerId: string, peer: Followed, news: Advertisement): void {
    const isFirst = peer.advertisement === undefined
    // Who speaks is known from its key, whatever it says.
    peer.advertisement = { ...news, peerId }
    said.set(peerId, peer.advertisement)
    const present = { peerId, advertisement: peer.advertisement }
    if (isFirst) modules.onArrived(present)
    else modules.onAdvertisement(present)
  }

  return {
    start() {
      node.onConnection((connection) => void follow(connection.remotePeer.toString()))
    },
    stop: () => stopped.abort(),
    present: () =>
      [...followed].flatMap(([peerId, { advertisement }]) =>
        advertisement !== undefined && node.connections(peerId).length > 0
          ? [{ peerId, advertisement }]
          : [],
      ),
    lastSaid: (peerId) => said.get(peerId),
  }
}
