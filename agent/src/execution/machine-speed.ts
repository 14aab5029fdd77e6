/**
 * How fast this machine is, for those who plan with it: measured once for each machine, provider and
 * version, after the start and when nothing runs.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Device } from '@comfymesh/protocol/advertisement'
import type { Executor } from '../executors/executor.ts'
import type { Benchmarks, KeptBenchmark } from '../store/benchmarks.ts'

export interface MachineSpeedOptions {
  readonly version: string
  /** What the user decided of how to compute: another decision is measured anew. */
  readonly settings: { readonly provider?: string; readonly threads?: number }
  /** After the start of measuring, so that it is not in the way of the agent's own. */
  readonly delayMs?: number
}

export interface MachineSpeedModules {
  readonly executor: Pick<Executor, 'name' | 'benchmark'>
  readonly benchmarks: Benchmarks
  readonly devices: { read(): Promise<readonly Device[]> }
  readonly warn: (message: string, error?: unknown) => void
}

export interface MachineSpeed {
  /** Undefined until it is known. */
  current(): KeptBenchmark | undefined
  /** @param known called once it is known, now or later; never where there is nothing to measure. */
  start(known: (benchmark: KeptBenchmark) => void): void
  /** When it is known, or will not be. */
  settled(): Promise<void>
  stop(): void
}

/** An agent has found its mesh and said what it offers by then. */
const DELAY_MS = 5000

export function createMachineSpeed(
  { version, settings, delayMs = DELAY_MS }: MachineSpeedOptions,
  { executor, benchmarks, devices, warn }: MachineSpeedModules,
): MachineSpeed {
  const stopping = new AbortController()
  let current: KeptBenchmark | undefined
  let measuring: Promise<void> = Promise.resolve()

  /** What fails because everything ends is no news. */
  function tell(message: string, error: unknown): void {
    if (!stopping.signal.aborted) warn(message, error)
  }

  async function knowOrMeasure(): Promise<KeptBenchmark | undefined> {
    if (executor.benchmark === undefined) return undefined
    const names = (await devices.read()).map(({ name, kind }) => [name, kind])
    const conditions = JSON.stringify([version, executor.name, settings, names])
    const known = await benchmarks.get(conditions)
    if (known !== undefined) return known
    await sleep(delayMs, undefined, { signal: stopping.signal })
    const measured = await executor.benchmark(stopping.signal)
    await benchmarks.put(conditions, measured).catch((error: unknown) => {
      tell('How fast this machine is could not be kept and will be measured again', error)
    })
    return measured
  }

  return {
    current: () => current,
    settled: () => measuring,
    start(known) {
      measuring = knowOrMeasure().then(
        (benchmark) => {
          current = benchmark
          if (benchmark !== undefined && !stopping.signal.aborted) known(benchmark)
        },
        (error: unknown) => tell('How fast this machine is could not be measured', error),
      )
    },
    stop: () => stopping.abort(),
  }
}
