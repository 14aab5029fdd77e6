/** The benchmarks, one row each; docs/benchmarks.md says what was measured. */
import type { Benchmark } from './benchmark.ts'
import { dispatch } from './dispatch.ts'
import { embeddedPicture, jobOverhead } from './embedded-model.ts'
import { modelOpen, peakMemory } from './full-size-model.ts'
import { discovery, heartbeat } from './mesh.ts'
import { plan1000x100 } from './planning.ts'
import { apiP99Busy, cachedPrompt, queue1000 } from './queue.ts'
import { agentStart, idleMemory } from './starting.ts'
import { stepVsTorch } from './step-vs-torch.ts'
import { streamCpu, streamVsTls } from './stream.ts'

export const benchmarks: readonly Benchmark[] = [
  agentStart,
  idleMemory,
  jobOverhead,
  embeddedPicture,
  modelOpen,
  peakMemory,
  stepVsTorch,
  cachedPrompt,
  queue1000,
  apiP99Busy,
  plan1000x100,
  discovery,
  heartbeat,
  dispatch,
  streamVsTls,
  streamCpu,
]
