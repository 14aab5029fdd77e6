/** The mesh at rest and at a start: how soon a member is there, and what fifty cost. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Mesh } from '../../src/mesh/mesh.ts'
import { type BuiltAgent, startBuiltAgent } from '../built-agent.ts'
import { connectedPeers, joinMesh } from '../loopback-mesh.ts'
import { type Benchmark, CannotMeasure, median } from './benchmark.ts'
import { membershipOf, startPeer } from './mesh-peer.ts'

const STARTS = 5

export const discovery: Benchmark = {
  name: 'discovery',
  unit: 's',
  target: 3,
  better: 'lower',
  about: `start of a member's process until another member has its advertisement, median of ${STARTS}`,
  async run(bench) {
    const dataDir = bench.newFolder()
    const host = await startBuiltAgent(bench.newFolder(), ['--mesh', 'on', '--name', 'host'])
    try {
      const seconds: number[] = []
      await withMember(dataDir, async (member) => {
        await joinMesh(host, member)
      })
      for (let i = 0; i < STARTS; i++) {
        await connectedPeers(host, 0)
        const startedAt = performance.now()
        await withMember(dataDir, async () => {
          await connectedPeers(host, 1)
          seconds.push((performance.now() - startedAt) / 1000)
        })
      }
      return median(seconds)
    } finally {
      await host.stop()
    }
  },
}

/** Ends it without a word, as the time of stopping is nobody's business. */
async function withMember(dataDir: string, use: (agent: BuiltAgent) => Promise<void>) {
  const member = await startBuiltAgent(dataDir, ['--mesh', 'on', '--name', 'member'])
  try {
    await use(member)
  } finally {
    await member.kill()
  }
}

const PEERS = 50
const MEASURE_MS = 20_000

export const heartbeat: Benchmark = {
  name: `heartbeat-${PEERS}`,
  unit: '%',
  target: 2,
  better: 'lower',
  about: `share of a core that an idle agent takes among ${PEERS} peers, over ${MEASURE_MS / 1000} s`,
  async run(bench) {
    if (process.platform !== 'linux') throw new CannotMeasure('CPU time is read from /proc.')
    const agent = await startBuiltAgent(bench.newFolder(), ['--mesh', 'on'])
    const peers: Mesh[] = []
    try {
      await connectedPeers(agent, 0)
      const membership = membershipOf(agent)
      for (let i = 0; i < PEERS; i++)
        peers.push(await startPeer(bench.newFolder(), membership, `peer-${i}`))
      await connectedPeers(agent, PEERS)
      // What happens once per connection is no heartbeat.
      await sleep(MEASURE_MS / 4)
      const before = cpuSeconds(agent.pid)
      await sleep(MEASURE_MS)
      return ((cpuSeconds(agent.pid) - before) * 100_000) / MEASURE_MS
    } finally {
      await Promise.all(peers.map((peer) => peer.stop()))
      await agent.stop()
    }
  },
}

/** Of a process, since its start. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  // User and system time: fields 14 and 15, counted from 1, the first two cut off.
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}
