/** What the agent tells the one who runs it: one readable line a message, on standard error. */

const levels = ['debug', 'info', 'warn', 'error', 'silent'] as const

export type LogLevel = (typeof levels)[number]

/** A line as it was written, with the moment. */
export interface LogLine {
  readonly at: Date
  readonly text: string
}

export interface Log {
  debug(message: string): void
  info(message: string): void
  /** `error` is why; its stack is written at the level `debug` only. */
  warn(message: string, error?: unknown): void
  error(message: string, error?: unknown): void
  /** The last lines, the oldest first. */
  recent(): readonly LogLine[]
  /** Tells of every further line. @returns how to end it. */
  follow(listener: (line: LogLine) => void): () => void
}

/** How many lines are kept for whoever asks later: ComfyUI's number. */
const MAX_KEPT_LINES = 300

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

  function line(level: LogLevel, message: string, error?: unknown): void {
    if (!isShown(level)) return
    const at = now()
    const mark = level === 'info' ? '' : `${level}: `
    const text = `${mark}${message}${error === undefined ? '' : `: ${describe(error)}`}\n`
    write(`${at.toTimeString().slice(0, 8)} ${text}`)
    keep({ at, text: text.slice(0, MAX_KEPT_LENGTH) })
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
    recent: () => [...kept],
    follow: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
