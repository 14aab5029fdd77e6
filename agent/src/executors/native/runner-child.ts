/**
 * One life of the runner: from fork to exit. Knows how to start it, to talk to
 * it and how it ended; when to start another is for runner-process.ts to say.
 */
import { type ForkOptions, fork } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { RunnerExit } from './runner-exit.ts'
import {
  type Commands,
  dispatch,
  type Handlers,
  type Message,
  type Reports,
  type RunnerConfiguration,
} from './runner-messages.ts'
import { REPORTS_DESCRIPTOR, readReports } from './runner-reports.ts'
import type { ProviderName, ProviderReport } from './sessions/settings.ts'

/** Enough of the last words to see a native assertion and its context. */
const LAST_LINES = 20

/**
 * How much the runner allocates between two collections of what is short-lived. The arrays of a
 * step lie outside of that memory, but are given back with it: soon enough, their pages are used
 * again while the processor's caches know them, and the system is asked for no others.
 */
const NURSERY_MB = 1

/**
 * From version 1.29 on, onnxruntime for Linux and macOS tells Microsoft which models a process opens and how it
 * runs them, under an identifier that it keeps, unless this is set when the process starts
 * (microsoft/onnxruntime#27379). Nobody who runs an agent has agreed to that.
 */
const WITHOUT_TELEMETRY = { ORT_DISABLE_TELEMETRY: '1' }

export interface RunnerChild {
  /** Resolves when the child takes stages, or ended before it did; never rejects. */
  readonly started: Promise<'ready' | 'exited'>
  readonly exited: Promise<RunnerExit>
  /** What became of the providers so far, in the order tested. */
  readonly providers: readonly ProviderReport[]
  readonly pid: number | undefined
  /** The model files that it has open, as it said last. */
  readonly openFiles: readonly string[]
  send(command: Message<Commands>): void
  /** Who hears about the run in progress; one at a time. */
  listen(handlers: RunHandlers | undefined): void
  /** Closes its models; resolves when they are closed, or when it ended. */
  release(): Promise<void>
  /** Lets an idle child end by itself. */
  disconnect(): void
  /** Ends it now, whatever it does: SIGKILL, or TerminateProcess on Windows. */
  kill(): void
}

type RunReports = Pick<Handlers<Reports>, 'events' | 'finished' | 'benchmarked' | 'failed'>

/** The rows of `Reports` that concern a run or a benchmark, and the child's end. */
export interface RunHandlers extends Partial<RunReports> {
  failed: RunReports['failed']
  exited(exit: RunnerExit): void
}

export interface RunnerChildOptions {
  readonly entry: URL
  readonly configuration: RunnerConfiguration
  /** Receives each line the child writes to standard error. */
  readonly log: (line: string) => void
  /** Receives what the user should hear of. */
  readonly warn: (message: string) => void
}

export function startRunnerChild({
  entry,
  configuration,
  log,
  warn,
}: RunnerChildOptions): RunnerChild {
  const child = fork(fileURLToPath(entry), forkOptions())
  const { lines: lastLines, ended: wordsRead } = keepLastLines(child.stderr!, log)
  const providers: ProviderReport[] = []
  let testing: ProviderName | undefined
  let openFiles: readonly string[] = []
  let runHandlers: RunHandlers | undefined
  let reportReleased = (): void => {}

  let reportReady = (): void => {}
  const ready = new Promise<'ready'>((resolve) => {
    reportReady = () => resolve('ready')
  })
  const exited = new Promise<RunnerExit>((resolve) => {
    const end = (how: Pick<RunnerExit, 'code' | 'signal' | 'startError'>): void =>
      resolve({ ...how, lastLines, ...(testing && { testing }) })
    // Node 20 emits no 'close' after `disconnect`, so the last words are awaited by hand.
    child.once('exit', async (code, signal) => {
      await Promise.all([wordsRead, reportsRead])
      end({ code, signal })
    })
    child.once('error', (startError) => {
      // Also raised when a message cannot be sent; only a child without a pid never ran.
      if (child.pid === undefined) end({ code: null, signal: null, startError })
    })
  })
  let ended: RunnerExit | undefined
  void exited.then((exit) => {
    ended = exit
    runHandlers?.exited(exit)
  })

  const handlers: Handlers<Reports> = {
    testing: ({ provider }) => {
      testing = provider
    },
    tested: ({ report }) => {
      testing = undefined
      providers.push(report)
    },
    ready: () => reportReady(),
    events: (message) => runHandlers?.events?.(message),
    finished: (message) => runHandlers?.finished?.(message),
    benchmarked: (message) => runHandlers?.benchmarked?.(message),
    failed: (message) => runHandlers?.failed(message),
    released: () => reportReleased(),
    open: ({ files }) => {
      openFiles = files
    },
    warning: ({ message }) => warn(message),
  }
  const reportsRead = readReports(child.stdio[REPORTS_DESCRIPTOR] as Readable, (message) =>
    dispatch(handlers, message),
  )

  const send = (command: Message<Commands>): void => {
    // A send to a dying child fails; `exited` is what reports that.
    if (child.connected) child.send(command, () => {})
  }
  send({ type: 'configure', configuration })
  return {
    started: Promise.race([ready, exited.then(() => 'exited' as const)]),
    exited,
    providers,
    pid: child.pid,
    get openFiles() {
      return openFiles
    },
    send,
    listen: (handlers) => {
      runHandlers = handlers
      if (ended !== undefined) handlers?.exited(ended)
    },
    release: async () => {
      const released = new Promise<void>((resolve) => {
        reportReleased = resolve
      })
      send({ type: 'release' })
      await Promise.race([released, exited])
    },
    disconnect: () => {
      if (child.connected) child.disconnect()
    },
    kill: () => {
      child.kill('SIGKILL')
    },
  }
}

function forkOptions(): ForkOptions {
  const hidden = { windowsHide: true }
  return {
    ...hidden,
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe'],
    env: { ...process.env, ...WITHOUT_TELEMETRY },
    // A debugger's port can be held by one process only.
    execArgv: [
      ...process.execArgv.filter((argument) => !argument.startsWith('--inspect')),
      `--max-semi-space-size=${NURSERY_MB}`,
    ],
  }
}

/** Passes lines on and keeps the last ones. */
function keepLastLines(stream: Readable, log: (line: string) => void) {
  const lines: string[] = []
  const reader = createInterface({ input: stream })
  reader.on('line', (line) => {
    lines.push(line)
    if (lines.length > LAST_LINES) lines.shift()
    log(line)
  })
  const ended = new Promise<void>((resolve) => reader.once('close', resolve))
  return { lines: lines as readonly string[], ended }
}
