/** One stage or benchmark on a running child, from the command to its result, cancellation included. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Benchmark, RunOptions, Stage, StageNode, StageResult } from '../executor.ts'
import { watchOomKills } from './oom-killer.ts'
import type { RunnerChild } from './runner-child.ts'
import { diedRunning } from './runner-exit.ts'

let lastRun = 0

export interface ChildRunOptions {
  readonly signal: AbortSignal
  /** How long it may take to yield once it is cancelled. */
  readonly cancelGraceMs: number
}

/** @throws MeshError what the child reports, `interrupted`, or `runner_died`. */
export function runOnChild(
  child: RunnerChild,
  stage: Stage,
  {
    report,
    previews,
    ...options
  }: ChildRunOptions & Pick<RunOptions, 'report'> & { readonly previews: boolean },
): Promise<StageResult> {
  let running: StageNode | undefined
  let memoryRanOut: ReturnType<typeof watchOomKills> | undefined
  return onChild<StageResult>(child, options, (run, settle) => {
    child.listen({
      events: ({ events }) => {
        for (const event of events) {
          if (event.type === 'node-started') {
            running = stage.nodes.find((node) => node.id === event.nodeId)
          }
          report(event)
        }
      },
      finished: ({ result }) => settle.resolve(result),
      failed: ({ error }) => settle.reject(MeshError.fromReport(error)),
      exited: (exit) => settle.exited(() => diedRunning(exit, running, memoryRanOut?.())),
    })
    child.send({ type: 'run', run, stage, previews })
    // Reading what the system counts takes a millisecond, in which the child has begun.
    memoryRanOut = watchOomKills()
  })
}

/** @throws MeshError as runOnChild */
export function benchmarkOnChild(child: RunnerChild, options: ChildRunOptions): Promise<Benchmark> {
  const memoryRanOut = watchOomKills()
  return onChild<Benchmark>(child, options, (run, settle) => {
    child.listen({
      benchmarked: ({ benchmark }) => settle.resolve(benchmark),
      failed: ({ error }) => settle.reject(MeshError.fromReport(error)),
      exited: (exit) => settle.exited(() => diedRunning(exit, undefined, memoryRanOut())),
    })
    child.send({ type: 'benchmark', run })
  })
}

interface Settle<T> {
  resolve(result: T): void
  reject(error: MeshError): void
  /** The child ended: on our word if it was cancelled, else `died` says how. */
  exited(died: () => MeshError): void
}

/** From the command to its answer; a child that does not yield to cancellation is killed. */
function onChild<T>(
  child: RunnerChild,
  { signal, cancelGraceMs }: ChildRunOptions,
  begin: (run: number, settle: Settle<T>) => void,
): Promise<T> {
  lastRun += 1
  const run = lastRun
  let graceTimer: NodeJS.Timeout | undefined
  const cancel = (): void => {
    child.send({ type: 'cancel', run })
    graceTimer = setTimeout(() => child.kill(), cancelGraceMs)
  }
  const settled = new Promise<T>((resolve, reject) => {
    const exited = (died: () => MeshError) => reject(signal.aborted ? interrupted() : died())
    begin(run, { resolve, reject, exited })
  })
  if (signal.aborted) cancel()
  signal.addEventListener('abort', cancel, { once: true })
  return settled.finally(() => {
    clearTimeout(graceTimer)
    signal.removeEventListener('abort', cancel)
    child.listen(undefined)
  })
}

function interrupted(): MeshError {
  return new MeshError('interrupted', 'the stage was cancelled')
}
