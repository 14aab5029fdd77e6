/**
 * Who lives: every line from which nothing is heard is pinged, and one that stays silent is ended,
 * though it looks alive (a frozen process, a cut cable). How long answers take is known on the way.
 */
import type { Line } from './lines.ts'

export interface SignsOfLife {
  start(): void
  stop(): void
  /** Keeps an eye on a line until it ends. */
  watch(line: Line): void
  /** How long an answer takes, in milliseconds, by peer. */
  roundTrips(): ReadonlyMap<string, number>
}

/** Time is counted in ticks: a process that was itself held up has not listened meanwhile. */
const TICK_MS = 500
/**
 * After so much silence a ping is due. Any of both ends may ask, and whoever is asked has heard
 * something: so two peers that have nothing to say exchange two small frames in 2 to 2.5 s.
 */
const PING_AFTER_TICKS = 5
/**
 * A peer that vanishes is to be known within 6 s. What remains above the ping is how long a
 * healthy peer's event loop may be blocked without being taken for dead.
 */
const SILENT_AFTER_TICKS = 10
/** Routes change seldom. */
const MEASURE_AGAIN_TICKS = 120
/** The least of so many counts: the others had to wait for something else than the network. */
const SAMPLES = 3

interface Watched {
  readonly line: Line
  silentTicks: number
  ticksSincePing: number
  isPinging: boolean
  roundTripsMs: readonly number[]
}

export function createSignsOfLife({ now }: { readonly now: () => number }): SignsOfLife {
  const watched = new Set<Watched>()
  let timer: NodeJS.Timeout | undefined

  async function ping(one: Watched): Promise<void> {
    if (one.isPinging) return
    one.isPinging = true
    one.ticksSincePing = 0
    const askedAtMs = now()
    try {
      await one.line.ping()
      one.roundTripsMs = [...one.roundTripsMs, now() - askedAtMs].slice(-SAMPLES)
    } catch {
      // It is closing, and that is heard elsewhere.
    }
    one.isPinging = false
  }

  function isPingDue({ silentTicks, ticksSincePing, roundTripsMs }: Watched): boolean {
    const isMeasured = roundTripsMs.length === SAMPLES
    const measureAfterTicks = isMeasured ? MEASURE_AGAIN_TICKS : PING_AFTER_TICKS
    return silentTicks >= PING_AFTER_TICKS || ticksSincePing >= measureAfterTicks
  }

  function tick(): void {
    for (const one of watched) {
      one.silentTicks++
      one.ticksSincePing++
      if (one.silentTicks >= SILENT_AFTER_TICKS) {
        const seconds = (SILENT_AFTER_TICKS * TICK_MS) / 1000
        one.line.abort(new Error(`nothing was heard for ${seconds} s`))
      } else if (isPingDue(one)) void ping(one)
    }
  }

  return {
    start() {
      timer = setInterval(tick, TICK_MS)
    },
    stop: () => clearInterval(timer),
    watch(line) {
      const one: Watched = {
        line,
        silentTicks: 0,
        ticksSincePing: 0,
        isPinging: false,
        roundTripsMs: [],
      }
      watched.add(one)
      line.onHeard(() => {
        one.silentTicks = 0
      })
      line.onEnd(() => watched.delete(one))
      void ping(one)
    },
    roundTrips() {
      const least = new Map<string, number>()
      for (const { line, roundTripsMs } of watched) {
        if (roundTripsMs.length === 0) continue
        const known = least.get(line.peerId) ?? Number.POSITIVE_INFINITY
        least.set(line.peerId, Math.min(known, ...roundTripsMs))
      }
      return least
    },
  }
}
