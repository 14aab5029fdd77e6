/** How long an answer of each peer takes, asked for from time to time. */
import { protocols } from './protocols.ts'
import type { Rpc } from './rpc.ts'

export interface RoundTrips {
  start(): void
  stop(): void
  /** A peer arrived: what was measured over an earlier connection does not count any more. */
  arrived(peerId: string): void
  /** Milliseconds by peer, of those that answered. */
  current(): ReadonlyMap<string, number>
}

export interface RoundTripsModules {
  readonly rpc: Pick<Rpc, 'call'>
  readonly present: () => readonly { readonly peerId: string }[]
  readonly now: () => number
}

/** Routes change seldom, and a hundred peers cost three questions a second. */
const INTERVAL_MS = 30_000
/** The least of so many counts: the others had to wait for something else than the network. */
const SAMPLES = 5
/** The protocol is agreed on first, so that an answer is two round trips. */
const ROUND_TRIPS_PER_ANSWER = 2

export function createRoundTrips({ rpc, present, now }: RoundTripsModules): RoundTrips {
  const samples = new Map<string, readonly number[]>()
  const stopped = new AbortController()
  let timer: NodeJS.Timeout | undefined

  async function ask(peerId: string): Promise<void> {
    const startedAtMs = now()
    try {
      await rpc.call(peerId, protocols.ping, {}, { signal: stopped.signal })
      const tookMs = (now() - startedAtMs) / ROUND_TRIPS_PER_ANSWER
      samples.set(peerId, [...(samples.get(peerId) ?? []), tookMs].slice(-SAMPLES))
    } catch {
      // It is of an older release, or going: what was measured before stays.
    }
  }

  function askAll(): void {
    const ids = present().map(({ peerId }) => peerId)
    for (const peerId of samples.keys()) if (!ids.includes(peerId)) samples.delete(peerId)
    for (const peerId of ids) void ask(peerId)
  }

  return {
    start() {
      timer = setInterval(askAll, INTERVAL_MS)
      timer.unref()
    },
    stop() {
      stopped.abort()
      clearInterval(timer)
    },
    arrived(peerId) {
      samples.delete(peerId)
      void ask(peerId)
    },
    current: () => new Map([...samples].map(([peerId, all]) => [peerId, Math.min(...all)])),
  }
}
