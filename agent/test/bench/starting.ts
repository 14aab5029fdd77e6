/** An agent without work: how soon it serves, and what it holds. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type BuiltAgent, startBuiltAgent } from '../built-agent.ts'
import { processTree } from '../processes.ts'
import { type Benchmark, median } from './benchmark.ts'

/** As users have it. */
const inItsMesh = ['--mesh', 'on']

const STARTS = 5

export const agentStart: Benchmark = {
  name: 'agent-start',
  unit: 's',
  target: 1.5,
  better: 'lower',
  about: `start of the process to the answer of /health, median of ${STARTS}`,
  async run(bench) {
    const dataDir = bench.newFolder()
    const seconds: number[] = []
    for (let i = 0; i < STARTS; i++) {
      const startedAt = performance.now()
      const agent = await startBuiltAgent(dataDir, inItsMesh)
      await serving(agent)
      seconds.push((performance.now() - startedAt) / 1000)
      await agent.stop()
    }
    return median(seconds)
  },
}

const SETTLE_MS = 5000

export const idleMemory: Benchmark = {
  name: 'idle-memory',
  unit: 'MB',
  target: 150,
  better: 'lower',
  about: `resident memory of the agent and all its children, no model loaded, after ${SETTLE_MS / 1000} s`,
  async run(bench) {
    const agent = await startBuiltAgent(bench.newFolder(), inItsMesh)
    try {
      await serving(agent)
      await sleep(SETTLE_MS)
      const tree = await processTree(agent.pid)
      return tree.reduce((sum, one) => sum + one.residentBytes, 0) / 1e6
    } finally {
      await agent.stop()
    }
  },
}

async function serving({ url }: BuiltAgent): Promise<void> {
  const response = await fetch(`${url}/health`)
  if (!response.ok) throw new Error(`/health answered ${response.status}`)
}
