/** Spans of time in words. Pure. */

/** `4 s`, `3 min 50 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60)
    return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`
  return minutes % 60 === 0
    ? `${minutes / 60} h`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** `12 ms`, `4.2 s`, then as `duration`: for what is compared with each other. */
export function preciseDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms)
}

/** `just now`, `5 min ago`, a date where it is longer ago than a day. */
export function ago(atMs: number, nowMs: number): string {
  const elapsedMs = nowMs - atMs
  if (elapsedMs < 60_000) return 'just now'
  if (elapsedMs < 3_600_000) return `${Math.floor(elapsedMs / 60_000)} min ago`
  if (elapsedMs < 86_400_000) return `${Math.floor(elapsedMs / 3_600_000)} h ago`
  return new Date(atMs).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
}
