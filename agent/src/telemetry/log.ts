/** What the agent tells the one who runs it: one readable line a message, on standard error. */
import { type LogLine, type LogRequest, logLevels } from '@comfymesh/protocol/log-lines'

const levels = [...logLevels, 'silent'] as const

export type LogLevel = (typeof levels)[number]

export interface Log {
  debug(message: string): void
  info(message: string): void
  /** `error` is why; its stack is written at the level `debug` only. */
  warn(message: string, error?: unknown): void
  error(message: string, error?: unknown): void
  /** The last lines, or those that followed one; the oldest first. */
  recent(request: LogRequest): LogLine[]
  /** Tells of every further line. @returns how to end it. */
  follow(listener: (line: LogLine) => void): () => void
}

/** How many lines are kept for whoever asks later: hours of a busy agent. */
const MAX_KEPT_LINES = 2000

/** A stack or a path list; what is longer is cut where it is kept, never where it is written. */
const MAX_KEPT_LENGTH = 8192

export interface LogOptions {
  /** The least level that is written. */
  readonly level: LogLevel
  readonly write?: (line: string) => void
  readonly now?: () => Date
}

export function createLog(options: LogOptions): Log {
  const write = options.write ?? ((line) => process.stderr.write(line))
  const now = options.now ?? (() => new Date())
  const isShown = (level: LogLevel) => levels.indexOf(level) >= levels.indexOf(options.level)

  const kept: LogLine[] = []
  const listeners = new Set<(line: LogLine) => void>()
  // From the moment of the start, so that ids grow over restarts.
  let nextId = now().getTime()

  function line(level: LogLine['level'], message: string, error?: unknown): void {
    if (!isShown(level)) return
    const at = now()
    const whole = `${message}${error === undefined ? '' : `: ${describe(error)}`}`
    write(`${at.toTimeString().slice(0, 8)} ${markOf(level)}${whole}\n`)
    keep({
      id: nextId++,
      atMs: at.getTime(),
      level,
      message: whole.slice(0, MAX_KEPT_LENGTH),
    })
  }

  function keep(line: LogLine): void {
    kept.push(line)
    if (kept.length > MAX_KEPT_LINES) kept.shift()
    for (const listener of listeners) listener(line)
  }

  function describe(error: unknown): string {
    if (!(error instanceof Error)) return String(error)
    return isShown('debug') ? (error.stack ?? error.message) : error.message
  }

  return {
    debug: (message) => line('debug', message),
    info: (message) => line('info', message),
    warn: (message, error) => line('warn', message, error),
    error: (message, error) => line('error', message, error),
    recent: ({ after, limit }) => {
      if (after === undefined) return kept.slice(-limit)
      return kept.filter(({ id }) => id > after).slice(0, limit)
    },
    follow: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** What stands before a message that is more or less than information. */
export function markOf(level: LogLine['level']): string {
  return level === 'info' ? '' : `${level}: `
}
