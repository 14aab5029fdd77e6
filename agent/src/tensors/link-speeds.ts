/** How fast bytes come from each peer, and how long an answer takes, as transfers show it. */
import type { MeasuredLink } from '../planning/peers.ts'

export interface LinkSpeeds {
  /** Bytes that came in one go. */
  moved(peerId: string, bytes: number, elapsedMs: number): void
  answered(peerId: string, elapsedMs: number): void
  links(): MeasuredLink[]
}

/** Less than this tells more of the round trip than of the rate. */
const TELLING_BYTES = 2 * 1024 * 1024
/** How much the newest counts: links change, and single transfers meet other load. */
const NEWEST_SHARE = 0.4
/** The least of so many is the round trip; the others had to wait for something else. */
const ROUND_TRIPS = 8

interface Measured {
  bytesPerMs?: number
  readonly roundTripsMs: number[]
}

export function createLinkSpeeds({ selfId }: { readonly selfId: string }): LinkSpeeds {
  const peers = new Map<string, Measured>()

  function of(peerId: string): Measured {
    const known = peers.get(peerId) ?? { roundTripsMs: [] }
    peers.set(peerId, known)
    return known
  }

  return {
    moved(peerId, bytes, elapsedMs) {
      if (bytes < TELLING_BYTES || elapsedMs <= 0) return
      const peer = of(peerId)
      const newest = bytes / elapsedMs
      const before = peer.bytesPerMs ?? newest
      peer.bytesPerMs = before + NEWEST_SHARE * (newest - before)
    },
    answered(peerId, elapsedMs) {
      const { roundTripsMs } = of(peerId)
      roundTripsMs.push(elapsedMs)
      if (roundTripsMs.length > ROUND_TRIPS) roundTripsMs.shift()
    },
    links: () =>
      [...peers].flatMap(([peerId, { bytesPerMs, roundTripsMs }]) =>
        bytesPerMs === undefined || roundTripsMs.length === 0
          ? []
          : [
              {
                peerIds: [selfId, peerId] as const,
                bytesPerSecond: bytesPerMs * 1000,
                roundTripMs: Math.min(...roundTripsMs),
              },
            ],
      ),
  }
}
