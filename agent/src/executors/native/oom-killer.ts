/** Whether the kernel killed for lack of memory: a SIGKILL by itself does not say who sent it. */
import { readFileSync } from 'node:fs'

/**
 * How many processes Linux has killed since it started because memory ran out, of the machine or
 * of a control group. It counts before it kills.
 * @returns undefined where the system does not tell.
 */
export function oomKills(file = '/proc/vmstat'): number | undefined {
  try {
    const count = /^oom_kill (\d+)$/m.exec(readFileSync(file, 'latin1'))?.[1]
    return count === undefined ? undefined : Number(count)
  } catch {
    return undefined
  }
}

/** @returns asks whether it killed since then; undefined where the system does not tell. */
export function watchOomKills(file?: string): () => boolean | undefined {
  const before = oomKills(file)
  return () => {
    const now = oomKills(file)
    return before === undefined || now === undefined ? undefined : now > before
  }
}
