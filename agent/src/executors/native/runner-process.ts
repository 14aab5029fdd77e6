/**
 * The agent's side of the runner: spawns the child when the first prompt comes,
 * hands it one stage at a time, kills it when it does not yield, and starts
 * another when it died. What a stage computes is the child's business.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import { createTurns, untilAborted } from '../../base/turns.ts'
import type { Benchmark, RunOptions, Stage, StageResult } from '../executor.ts'
import { type RunnerChild, startRunnerChild } from './runner-child.ts'
import { crashReport, diedAtStart } from './runner-exit.ts'
import type { RunnerConfiguration } from './runner-messages.ts'
import { benchmarkOnChild, runOnChild } from './runner-run.ts'
import type { ProviderReport } from './sessions/settings.ts'

export interface RunnerProcessOptions {
  /** The module that the child runs. */
  readonly entry: URL
  readonly configuration: Omit<RunnerConfiguration, 'providers'>
  /** Whether running nodes hand out previews. */
  readonly previews: boolean
  /** How long a cancelled stage may take to yield before it is killed. */
  readonly cancelGraceMs: number
  /** An idle runner is ended after this time, with all its memory. */
  readonly idleShutdownMs: number
  /** Receives what the child writes to standard error, line by line. */
  readonly log: (line: string) => void
  /** Receives what the user should hear of. */
  readonly warn: (message: string) => void
}

export interface RunnerProcess {
  /** Spawns the child, should there be none, for a stage that may come; never throws. */
  prepare(): void
  /** Runs one stage; others wait their turn. @throws MeshError */
  run(stage: Stage, options: RunOptions): Promise<StageResult>
  /** See Executor.benchmark. */
  benchmark(signal: AbortSignal): Promise<Benchmark>
  /** Tests every provider of the platform in a child of its own. @throws MeshError `runner_died` */
  testProviders(): Promise<readonly ProviderReport[]>
  /** Between stages; see Executor.free. */
  free(what: { readonly outputs: boolean }): Promise<void>
  /** The child's process id while there is one. */
  readonly pid: number | undefined
  /** The model files that the child has open, as absolute paths. */
  readonly openFiles: readonly string[]
  /** Ends the child now; running and waiting stages fail with `interrupted`. */
  stop(): Promise<void>
}

/** A child that does not end by itself within this time is killed. */
const EXIT_GRACE_MS = 1000

export function createRunnerProcess(options: RunnerProcessOptions): RunnerProcess {
  const takeTurn = createTurns()
  const stopping = new AbortController()
  const unfinished = new Set<AbortController>()
  let known: readonly ProviderReport[] = []
  let child: RunnerChild | undefined
  let starting: Promise<RunnerChild> | undefined
  let idleTimer: NodeJS.Timeout | undefined
  /** Ends the benchmark under way, for a stage that came. */
  let interruptBenchmark = (): void => {}

  async function start(): Promise<RunnerChild> {
    const providers = { known, testAll: false }
    const started = await startUntilReady(options, providers, stopping.signal)
    known = started.providers
    child = started
    void started.exited.then(() => {
      if (child === started) child = undefined
    })
    return started
  }

  async function ready(): Promise<RunnerChild> {
    if (child !== undefined) return child
    starting ??= start().finally(() => {
      starting = undefined
    })
    return starting
  }

  /** Without work from now on, the child ends after a while. */
  function startIdling(): void {
    clearTimeout(idleTimer)
    if (!stopping.signal.aborted) idleTimer = setTimeout(end, options.idleShutdownMs).unref()
  }

  /** Takes the child out of use and ends it; the next stage gets a new one. */
  async function end(): Promise<void> {
    const last = child
    child = undefined
    if (last !== undefined) await endChild(last)
  }

  async function runInTurn(stage: Stage, { signal, report }: RunOptions): Promise<StageResult> {
    const release = await takeTurn(signal)
    clearTimeout(idleTimer)
    try {
      const runner = await untilAborted(ready(), signal)
      return await runOnChild(runner, stage, { ...options, signal, report })
    } finally {
      startIdling()
      release()
    }
  }

  /** @returns undefined when a stage was there, or came. @throws MeshError as Executor.benchmark */
  async function benchmarkInTurn(signal: AbortSignal): Promise<Benchmark | undefined> {
    const release = await takeTurn(signal)
    const attempt = new AbortController()
    interruptBenchmark = () => attempt.abort()
    try {
      if (unfinished.size > 0) return undefined
      clearTimeout(idleTimer)
      const either = AbortSignal.any([signal, attempt.signal])
      const runner = await untilAborted(ready(), either)
      return await benchmarkOnChild(runner, { ...options, signal: either })
    } catch (error) {
      if (attempt.signal.aborted && !signal.aborted) return undefined
      throw error
    } finally {
      interruptBenchmark = () => {}
      startIdling()
      release()
    }
  }

  return {
    prepare: () => {
      if (stopping.signal.aborted || child !== undefined || starting !== undefined) return
      // Should it fail, so does the stage, which is who can tell the user.
      ready().then(
        () => unfinished.size === 0 && startIdling(),
        () => {},
      )
    },
    run: async (stage, { signal, report }) => {
      const own = new AbortController()
      const abort = (): void => own.abort()
      if (signal.aborted || stopping.signal.aborted) abort()
      signal.addEventListener('abort', abort, { once: true })
      unfinished.add(own)
      interruptBenchmark()
      try {
        return await runInTurn(stage, { signal: own.signal, report })
      } finally {
        unfinished.delete(own)
        signal.removeEventListener('abort', abort)
      }
    },
    benchmark: async (signal) => {
      const either = AbortSignal.any([signal, stopping.signal])
      for (;;) {
        const benchmark = await benchmarkInTurn(either)
        if (benchmark !== undefined) return benchmark
      }
    },
    testProviders: async () => {
      const providers = { known: [], testAll: true }
      const tester = await startUntilReady(options, providers, stopping.signal)
      await endChild(tester)
      return tester.providers
    },
    free: async ({ outputs }) => {
      const release = await takeTurn(stopping.signal)
      try {
        // What nodes computed is in the child's memory alone, so it goes with the child.
        await (outputs ? end() : child?.release())
      } finally {
        release()
      }
    },
    get pid() {
      return child?.pid
    },
    get openFiles() {
      return child?.openFiles ?? []
    },
    stop: async () => {
      clearTimeout(idleTimer)
      stopping.abort()
      const busy = unfinished.size > 0
      for (const own of unfinished) own.abort()
      if (busy) child?.kill()
      await starting?.catch(() => {})
      await end()
    },
  }
}

/**
 * Starts children until one is ready, each without the providers whose
 * self-test killed one before: a driver that crashes costs itself and nothing else.
 * @throws MeshError `runner_died` when it is not a provider's fault, `interrupted`.
 */
async function startUntilReady(
  { entry, configuration, log, warn }: RunnerProcessOptions,
  { known, testAll }: RunnerConfiguration['providers'],
  signal: AbortSignal,
): Promise<RunnerChild> {
  let reports = known
  for (;;) {
    const providers = { known: reports, testAll }
    const settings = { ...configuration, providers }
    const child = startRunnerChild({ entry, configuration: settings, log, warn })
    const kill = (): void => child.kill()
    signal.addEventListener('abort', kill, { once: true })
    const outcome = await child.started
    signal.removeEventListener('abort', kill)
    if (outcome === 'ready') return child
    const exit = await child.exited
    if (signal.aborted) throw new MeshError('interrupted', 'the agent is stopping')
    if (exit.testing === undefined || exit.testing === 'cpu') throw diedAtStart(exit)
    reports = [...child.providers, crashReport(exit.testing, exit)]
  }
}

async function endChild(child: RunnerChild): Promise<void> {
  child.disconnect()
  const timer = setTimeout(() => child.kill(), EXIT_GRACE_MS)
  await child.exited
  clearTimeout(timer)
}
