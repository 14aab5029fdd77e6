/** What the agent tells the one who runs it: one readable line a message, on standard error. */

const levels = ['debug', 'info', 'warn', 'error', 'silent'] as const

export type LogLevel = (typeof levels)[number]

export interface Log {
  debug(message: string): void
  info(message: string): void
  /** `error` is why; its stack is written at the level `debug` only. */
  warn(message: string, error?: unknown): void
  error(message: string, error?: unknown): void
}

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

  function line(level: LogLevel, message: string, error?: unknown): void {
    if (!isShown(level)) return
    const time = now().toTimeString().slice(0, 8)
    const mark = level === 'info' ? '' : `${level}: `
    write(`${time} ${mark}${message}${error === undefined ? '' : `: ${describe(error)}`}\n`)
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
  }
}
