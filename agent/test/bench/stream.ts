/** A large blob from one agent to another, against what plain sockets do in the same minutes. */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Blob } from '@comfymesh/protocol/value'
import { loadIdentity } from '../../src/mesh/identity.ts'
import { openBlobStore } from '../../src/store/blobs.ts'
import { startBuiltAgent } from '../built-agent.ts'
import { type Bench, type Benchmark, CannotMeasure, median } from './benchmark.ts'
import { cpuSeconds } from './mesh.ts'
import { membershipOf } from './mesh-peer.ts'
import type { Moved, SinkOptions, SinkTask } from './stream-process.ts'

const SIZE_BYTES = 512 * 1024 * 1024
const GIGABYTE = 1e9
const ROUNDS = 7
/** So much of the old file goes before the new one needs it. */
const AHEAD_BYTES = 32 * 1024 * 1024
const LOOK_MS = 5

/** Of each round. */
interface Round {
  readonly tcp: Moved
  readonly tls: Moved
  readonly ours: Moved
  /** Of the agent that sends. */
  readonly senderCpuSeconds: number
}

export const streamVsTls: Benchmark = {
  name: 'stream-vs-tls',
  unit: 'x',
  target: 0.8,
  better: 'higher',
  about: `a blob of 512 MB from an agent to another process, verified and stored, against node:tls, median of ${ROUNDS}`,
  async run(bench) {
    const rounds = await bench.once('stream', () => measure(bench))
    const rate = (which: 'tcp' | 'tls' | 'ours') =>
      Math.round(SIZE_BYTES / 1e6 / median(rounds.map((round) => round[which].seconds)))
    const synced = median(rounds.map(({ ours }) => ours.syncedSeconds! - ours.seconds))
    bench.say(`  TCP ${rate('tcp')} MB/s, TLS ${rate('tls')} MB/s, blobs ${rate('ours')} MB/s`)
    bench.say(`  the disk had the last of it ${synced.toFixed(1)} s later`)
    return median(rounds.map(({ tls, ours }) => tls.seconds / ours.seconds))
  },
}

export const streamCpu: Benchmark = {
  name: 'stream-cpu',
  unit: 's/GB',
  target: 2,
  better: 'lower',
  about: 'CPU seconds of both processes for each gigabyte of the same transfers',
  async run(bench) {
    if (process.platform !== 'linux') throw new CannotMeasure('CPU time is read from /proc.')
    const rounds = await bench.once('stream', () => measure(bench))
    const perGigabyte = (seconds: (round: Round) => number) =>
      (median(rounds.map(seconds)) * GIGABYTE) / SIZE_BYTES
    const sender = perGigabyte((round) => round.senderCpuSeconds)
    const receiver = perGigabyte((round) => round.ours.cpuSeconds)
    bench.say(`  sender ${sender.toFixed(2)}, receiver ${receiver.toFixed(2)}`)
    return perGigabyte((round) => round.senderCpuSeconds + round.ours.cpuSeconds)
  },
}

async function measure(bench: Bench): Promise<Round[]> {
  const dataDir = bench.newFolder()
  const blob = await putBlob(dataDir)
  const agent = await startBuiltAgent(dataDir, ['--mesh', 'on'])
  const children: ChildProcess[] = []
  try {
    const source = start('source', SIZE_BYTES, children)
    const [{ tcpPort, tlsPort }] = await once(source, 'message')
    const sinkOptions: SinkOptions = {
      folder: bench.newFolder(),
      membership: membershipOf(agent),
      holder: loadIdentity(dataDir).peerId,
      sizeBytes: SIZE_BYTES,
    }
    const sink = start('sink', sinkOptions, children)
    await once(sink, 'message')
    const move = async (task: SinkTask): Promise<Moved> => {
      sink.send(task)
      return (await once(sink, 'message'))[0]
    }
    let last = bench.newFolder()
    // The first time the agent reads all of it for its digests.
    await move({ wanted: { blob, folder: last } })
    const rounds: Round[] = []
    for (let i = 0; i < ROUNDS; i++) {
      const [tcp, tls] = [await move({ tcpPort }), await move({ tlsPort })]
      const folder = bench.newFolder()
      const before = senderCpu(agent.pid)
      const moving = move({ wanted: { blob, folder } })
      await giveMemory(join(last, blob.hash), join(folder, 'partial', blob.hash), moving)
      const senderCpuSeconds = senderCpu(agent.pid) - before
      rounds.push({ tcp, tls, ours: await moving, senderCpuSeconds })
      rmSync(last, { recursive: true })
      last = folder
    }
    return rounds
  } finally {
    for (const child of children) child.kill()
    await agent.stop()
  }
}

/**
 * Cuts a file that lies here already as another one comes, so that this takes its memory. What lies
 * free a virtual machine may give back to its host at any moment, and asking for it again, up to 3 s
 * a gigabyte, would be measured instead.
 */
async function giveMemory(from: string, to: string, coming: Promise<unknown>): Promise<void> {
  let hasCome = false
  let leftBytes = SIZE_BYTES - AHEAD_BYTES
  const end = coming.finally(() => {
    hasCome = true
  })
  while (!hasCome) {
    const cameBytes = statSync(to, { throwIfNoEntry: false })?.size ?? 0
    leftBytes = Math.max(0, Math.min(leftBytes, SIZE_BYTES - AHEAD_BYTES - cameBytes))
    truncateSync(from, leftBytes)
    await setTimeout(LOOK_MS)
  }
  await end
}

/** Before the agent starts, which finds it as it finds what it kept from former runs. */
async function putBlob(dataDir: string): Promise<Blob> {
  const folder = join(dataDir, 'blobs')
  const blobs = await openBlobStore({ folder }, { now: Date.now, warn: console.error })
  const blob = await blobs.put(randomBytes(SIZE_BYTES))
  await blobs.stop()
  return blob
}

function start(role: string, options: unknown, children: ChildProcess[]): ChildProcess {
  const script = fileURLToPath(new URL('stream-process.ts', import.meta.url))
  const execArgv = [...process.execArgv, '--expose-gc']
  const child = fork(script, [role, JSON.stringify(options)], { execArgv })
  children.push(child)
  return child
}

const senderCpu = (pid: number) => (process.platform === 'linux' ? cpuSeconds(pid) : 0)
