/** What tests of stages are made of: requests, an executor that ends stages when told to, blobs. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { StageRequest } from '@comfymesh/protocol/stage'
import type { Output } from '@comfymesh/protocol/value'
import type { StageBlobs } from '../../src/execution/perform-stage.ts'
import type { StageReport, StageRunOptions } from '../../src/execution/stage-run.ts'
import type { Executor, RunOptions, Stage, StageResult } from '../../src/executors/executor.ts'
import { stageKey } from '../../src/planning/signature.ts'

/** A stage of one node; another name is another stage. */
export function stageOf(name: string, outputs: Output[] = []): StageRequest['stage'] {
  const nodes = [{ id: '1', classType: 'TN_Int', inputs: {}, signature: `signature of ${name}` }]
  return { id: stageKey(nodes, outputs, 0), index: 0, nodes, outputs }
}

/** By default of the job j. */
export function stageRequest(name: string, more: Partial<StageRequest> = {}): StageRequest {
  return {
    stage: stageOf(name),
    jobId: 'j',
    attemptId: `attempt at ${name}`,
    inputs: [],
    expectedMs: 1000,
    previews: true,
    ...more,
  }
}

export interface ManualRun {
  readonly stage: Stage
  readonly options: RunOptions
  end(result?: Partial<StageResult>): void
  fail(error: Error): void
}

/** @param options.isStubborn whether it goes on to the end told, though it was cancelled. */
export function manualExecutor({ isStubborn = false } = {}) {
  const runs: ManualRun[] = []
  const run: Executor['run'] = (stage, options) =>
    new Promise((resolve, reject) => {
      const stop = () => reject(new MeshError('interrupted', 'The executor was told to stop.'))
      if (!isStubborn) options.signal.addEventListener('abort', stop)
      const end = (result = {}) => resolve({ sessionMs: 0, values: [], ...result })
      runs.push({ stage, options, end, fail: reject })
    })
  return {
    executor: { run },
    runs,
    /** The run of that index, as soon as it has begun. */
    began: async (index: number): Promise<ManualRun> => {
      await until(() => runs.length > index)
      return runs[index]!
    },
  }
}

/** Somebody who follows a stage: what it hears, and how it gives up. */
export interface Following extends StageRunOptions {
  readonly reports: StageReport[]
  readonly controller: AbortController
  /** When it has heard so many. */
  heard(count: number): Promise<void>
}

export function following(): Following {
  const controller = new AbortController()
  const reports: StageReport[] = []
  return {
    reports,
    controller,
    signal: controller.signal,
    report: (report: StageReport) => {
      reports.push(report)
    },
    heard: (count) => until(() => reports.length >= count, `not ${count} reports`),
  }
}

export interface TestBlobs extends StageBlobs {
  readonly adopted: string[]
  /** How often each hash is held now. */
  readonly held: Map<string, number>
  readonly missing: Set<string>
}

/** Blobs of which only the names matter: everything that was adopted is there unless it is missing. */
export function testBlobs(): TestBlobs {
  const adopted: string[] = []
  const held = new Map<string, number>()
  const missing = new Set<string>()
  return {
    adopted,
    held,
    missing,
    adopt: async (_, { hash }) => void adopted.push(hash),
    path: (hash) => `/blobs/${hash}`,
    has: (hash) => adopted.includes(hash) && !missing.has(hash),
    hold(hashes) {
      const list = [...hashes]
      const change = (by: number) => {
        for (const hash of list) held.set(hash, (held.get(hash) ?? 0) + by)
      }
      change(1)
      return () => change(-1)
    },
  }
}

export const noFetch = async () => ({ transferBytes: 0 })

/** @throws Error when it does not come true in a while. */
export async function until(isTrue: () => boolean, orElse = 'it did not happen'): Promise<void> {
  const deadlineMs = performance.now() + 10_000
  while (!isTrue()) {
    if (performance.now() > deadlineMs) throw new Error(orElse)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

export const nodeStarted: StageReport = { type: 'node-started', nodeId: '1' }
export const step: StageReport = { type: 'node-progress', nodeId: '1', value: 1, max: 2 }
export const nodeFinished: StageReport = {
  type: 'node-finished',
  nodeId: '1',
  cached: false,
  elapsedMs: 5,
}
