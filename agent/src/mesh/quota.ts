/** How often each peer may ask: a bucket of tokens that fills as time goes by. */

const MINUTE_MS = 60_000

export interface Quota {
  /** Takes one. @returns 0, or after how many milliseconds there is one again. */
  take(peerId: string): number
}

export function createQuota(options: {
  /** How many fit, and how many come in a minute. */
  readonly perMinute: number
  readonly now: () => number
}): Quota {
  const { perMinute, now } = options
  const buckets = new Map<string, { tokens: number; atMs: number }>()
  return {
    take(peerId) {
      const atMs = now()
      const last = buckets.get(peerId) ?? { tokens: perMinute, atMs }
      const filled = last.tokens + ((atMs - last.atMs) * perMinute) / MINUTE_MS
      const tokens = Math.min(perMinute, filled)
      if (tokens < 1) return Math.ceil(((1 - tokens) * MINUTE_MS) / perMinute)
      buckets.set(peerId, { tokens: tokens - 1, atMs })
      return 0
    },
  }
}
