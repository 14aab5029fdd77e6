/** What befalls the machines of the chaos: one table, and the clock that picks from it. */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { BuiltAgent } from '../built-agent.ts'
import type { Chance } from '../random.ts'
import type { Machine } from './machine.ts'
import type { Traffic } from './traffic.ts'

export interface Fault {
  readonly kind: string
  readonly machine: string
  readonly fromMs: number
  toMs: number
}

interface Scene {
  readonly machine: Machine
  readonly traffic: Traffic
  readonly chance: Chance
}

interface FaultRow {
  readonly kind: string
  /** How often, beside the others. */
  readonly weight: number
  /** @returns false where there was nothing to break. */
  readonly inflict: (scene: Scene) => Promise<boolean>
  readonly isPossible?: () => boolean
}

const isRootOfLinux = () => process.platform === 'linux' && process.getuid?.() === 0

const rows: readonly FaultRow[] = [
  {
    kind: 'kill -9',
    weight: 3,
    async inflict({ machine, chance }) {
      const downMs = chance.between(0, 5000)
      await machine.kill()
      await sleep(downMs)
      await machine.start()
      return true
    },
  },
  {
    kind: 'stop and start',
    weight: 1,
    async inflict({ machine }) {
      await machine.stop()
      await machine.start()
      return true
    },
  },
  {
    kind: 'freeze',
    weight: 3,
    isPossible: () => process.platform !== 'win32',
    async inflict({ machine, chance }) {
      const pid = machine.agent!.pid
      process.kill(pid, 'SIGSTOP')
      await sleep(chance.between(200, 10_000))
      process.kill(pid, 'SIGCONT')
      return true
    },
  },
  {
    kind: 'kill a runner',
    weight: 3,
    async inflict({ machine }) {
      const [runner] = await machine.runners()
      if (runner === undefined) return false
      try {
        process.kill(runner, 'SIGKILL')
        return true
      } catch {
        return false
      }
    },
  },
  {
    kind: 'cut connections',
    weight: 3,
    isPossible: isRootOfLinux,
    async inflict({ machine }) {
      return cutConnections(machine.agent!)
    },
  },
  {
    kind: 'pause the queue',
    weight: 1,
    async inflict({ machine, chance }) {
      const pauseMs = chance.between(500, 8000)
      await machine.ask('POST', '/v1/queue/pause')
      await sleep(pauseMs)
      await machine.ask('POST', '/v1/queue/resume')
      return true
    },
  },
  {
    kind: 'cancel a job',
    weight: 2,
    inflict: ({ machine, traffic }) => traffic.cancelOne(machine),
  },
]

export interface Faults {
  readonly inflicted: readonly Fault[]
  /** What an agent did not bear as it should. */
  readonly problems: readonly string[]
  /** Kinds that need another system or another user. */
  readonly impossible: readonly string[]
  /** Whether something is just being done to a machine. */
  isStruck(machine: Machine): boolean
  strikeUntil(endsAtMs: number): Promise<void>
}

const PAUSE_MS = { least: 1000, most: 8000 }
/** Somebody has to be left to do the work. */
const MOST_AT_ONCE = 2

export function createFaults(
  machines: readonly Machine[],
  traffic: Traffic,
  chance: Chance,
): Faults {
  const inflicted: Fault[] = []
  const problems: string[] = []
  const struck = new Set<Machine>()
  const possible = rows.filter(({ isPossible }) => isPossible?.() ?? true)
  const lots = possible.flatMap((row) => Array.from({ length: row.weight }, () => row))

  async function strike(row: FaultRow, machine: Machine): Promise<void> {
    const fault: Fault = { kind: row.kind, machine: machine.name, fromMs: Date.now(), toMs: 0 }
    struck.add(machine)
    try {
      if (await row.inflict({ machine, traffic, chance })) inflicted.push(fault)
    } catch (error) {
      problems.push(`${row.kind} of ${machine.name}: ${error}`)
    } finally {
      fault.toMs = Date.now()
      struck.delete(machine)
    }
  }

  return {
    inflicted,
    problems,
    impossible: rows.filter((row) => !possible.includes(row)).map(({ kind }) => kind),
    isStruck: (machine) => struck.has(machine),
    async strikeUntil(endsAtMs) {
      const running = new Set<Promise<void>>()
      for (;;) {
        await sleep(chance.between(PAUSE_MS.least, PAUSE_MS.most))
        if (Date.now() >= endsAtMs) break
        const [row, machine] = [chance.pick(lots), chance.pick(machines)]
        if (struck.size >= MOST_AT_ONCE || struck.has(machine)) continue
        const striking = strike(row, machine).finally(() => running.delete(striking))
        running.add(striking)
      }
      await Promise.all(running)
    },
  }
}

/** Resets every connection of an agent but those of its HTTP clients: what a flapping link does. */
async function cutConnections({ pid, url }: BuiltAgent): Promise<boolean> {
  const run = promisify(execFile)
  const { stdout } = await run('ss', ['-tnpH', 'state', 'established'])
  const ends = stdout
    .split('\n')
    .filter((line) => line.includes(`pid=${pid},`))
    .map((line) => line.trim().split(/\s+/).slice(2, 4) as [local: string, remote: string])
    .filter(([local]) => !local.endsWith(`:${new URL(url).port}`))
  for (const [local, remote] of ends) await run('ss', ['-K', '-tn', 'src', local, 'dst', remote])
  return ends.length > 0
}
