/** Bodies that come so slowly that all they do is hold a connection. */
import type { Readable } from 'node:stream'

export interface Pace {
  /** A body of any size may take as long, over a line that stalls. */
  readonly graceMs: number
  /** What has come by then has to have come so fast on average. */
  readonly bytesPerSecond: number
}

/** The slowest line over which somebody would upload a picture. */
export const bodyPace: Pace = { graceMs: 30_000, bytesPerSecond: 20_000 }

/** A request whose body does not arrive. */
class TooSlow extends Error {
  readonly statusCode = 408
}

/**
 * What a stream gives, as it gives it. Left early, or too slow, the stream stays open, for the
 * answer goes out over the same connection.
 * @throws TooSlow as soon as less has come than the pace asks for.
 */
export async function* steadily(payload: Readable, pace: Pace): AsyncGenerator<Buffer> {
  const startedAtMs = performance.now()
  let bytes = 0
  let timer: NodeJS.Timeout | undefined
  const tooSlow = new Promise<never>((_resolve, reject) => {
    const look = () => {
      const allowedMs = pace.graceMs + (bytes / pace.bytesPerSecond) * 1000
      const leftMs = startedAtMs + allowedMs - performance.now()
      if (leftMs > 0) timer = setTimeout(look, leftMs)
      else reject(new TooSlow('The request came too slowly. Try again over a faster connection.'))
    }
    look()
  })
  const chunks = payload.iterator({ destroyOnReturn: false })
  try {
    for (;;) {
      const next = await Promise.race([chunks.next(), tooSlow])
      if (next.done) return
      bytes += next.value.length
      yield next.value
    }
  } finally {
    clearTimeout(timer)
  }
}
