/** How fast a provider computes what networks are mostly made of; takes well under a second. */
import type { Benchmark } from '../../executor.ts'
import { bestRunMs } from './self-test.ts'
import { benchmarkGraph } from './self-test-graph.ts'
import type { ProviderReport, SessionSettings } from './settings.ts'

/** Each takes four times as long as the one before. */
const sides = [32, 64, 128, 256, 512]

/** A run that takes as long is measured well enough, and short enough to wait for. */
const ENOUGH_MS = 20

/**
 * @param beforeRun called every few milliseconds to some tens of them; what it throws ends it.
 * @throws Error of the provider, when it has not the memory, for instance.
 */
export async function measureSpeed(
  { name, halfPrecision }: ProviderReport,
  settings: SessionSettings,
  beforeRun: () => Promise<void>,
): Promise<Benchmark> {
  let gflops = 0
  for (const side of sides) {
    const graph = benchmarkGraph(side, halfPrecision ? 'float16' : 'float32')
    const runMs = await bestRunMs(name, settings, graph, beforeRun)
    gflops = Math.max(gflops, (graph.gigaOps * 1000) / runMs)
    if (runMs >= ENOUGH_MS) break
  }
  return { gflops, provider: name }
}
