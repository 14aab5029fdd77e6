/**
 * Who is there: follows the advertisement of every connected peer, and takes one from whom
 * nothing is heard for gone, though its connection looks alive (a frozen process, a cut cable).
 */
import type { Advertisement } from '@comfymesh/protocol/advertisement'
import type { MeshNode } from './node.ts'
import { protocols } from './protocols.ts'
import type { Rpc } from './rpc.ts'

/** How often a peer gives a sign of life. */
export const PULSE_MS = 2000
/**
 * A peer that vanishes is to be known within 6 s. What remains above the pulse is how long a
 * healthy peer's event loop may be blocked without being taken for dead.
 */
const SILENCE_MS = 5000
const CHECK_MS = 250
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
  readonly node: Pick<MeshNode, 'connections' | 'connectedPeers' | 'onConnection'>
  readonly rpc: Pick<Rpc, 'stream'>
  readonly onArrived: (peer: PresentPeer) => void
  readonly onAdvertisement: (peer: PresentPeer) => void
  readonly onGone: (peer: PresentPeer) => void
  readonly now: () => number
}

interface Followed {
  advertisement?: Advertisement
  heardAtMs: number
}

export function createPresence(modules: PresenceModules): Presence {
  const { node, rpc, now } = modules
  const followed = new Map<string, Followed>()
  const said = new Map<string, Advertisement>()
  const stopped = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let checkedAtMs = 0

  /** Until its last connection ends, however often the stream breaks before. */
  async function follow(peerId: string): Promise<void> {
    if (followed.has(peerId)) return
    const peer: Followed = { heardAtMs: now() }
    followed.set(peerId, peer)
    while (!stopped.signal.aborted && node.connections(peerId).length > 0) {
      try {
        const { signal } = stopped
        for await (const news of rpc.stream(peerId, protocols.advertisement, {}, { signal })) {
          peer.heardAtMs = now()
          if (news.advertisement !== undefined) learn(peerId, peer, news.advertisement)
        }
      } catch {
        // The connection ended, or it will be closed for its silence.
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

  function check(): void {
    const sinceCheckMs = now() - checkedAtMs
    checkedAtMs = now()
    // This process itself was held up: what arrived meanwhile has not been read yet.
    if (sinceCheckMs > CHECK_MS + SILENCE_MS / 2) {
      for (const peer of followed.values()) peer.heardAtMs = Math.max(peer.heardAtMs, now() - 2000)
      return
    }
    for (const [peerId, peer] of followed) {
      if (now() - peer.heardAtMs <= SILENCE_MS) continue
      for (const connection of node.connections(peerId)) {
        connection.abort(new Error(`nothing was heard for ${SILENCE_MS} ms`))
      }
    }
  }

  return {
    start() {
      checkedAtMs = now()
      node.onConnection((connection) => void follow(connection.remotePeer.toString()))
      timer = setInterval(check, CHECK_MS)
    },
    stop() {
      stopped.abort()
      clearInterval(timer)
    },
    present: () =>
      [...followed].flatMap(([peerId, { advertisement }]) =>
        advertisement !== undefined && node.connections(peerId).length > 0
          ? [{ peerId, advertisement }]
          : [],
      ),
    lastSaid: (peerId) => said.get(peerId),
  }
}
