/**
 * Machines on a network, made of network namespaces on a bridge: each has its own interfaces,
 * addresses and multicast, and its cable can be pulled. Needs Linux and root.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JsonObject } from '@comfymesh/protocol/json'
import { type MeshPeers, meshPeersSchema } from '@comfymesh/protocol/mesh'
import type { Test } from 'tap'
import { type BuiltAgent, type FinishedCommand, runBuilt, startBuiltAgent } from '../built-agent.ts'
import { ask } from '../test-agent.ts'

/** An agent on one of the machines. */
export interface MeshAgent extends BuiltAgent {
  readonly name: string
  /** The command line, on its machine and with its data folder. */
  command(...argv: string[]): Promise<FinishedCommand>
  /** Asks under /v1/mesh. @throws Error with what it answers when it refuses. */
  ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<JsonObject>
  peers(): Promise<MeshPeers>
  /** Names of the others that are connected, sorted. */
  connected(): Promise<string[]>
  freeze(): void
  thaw(): void
}

export interface Machine {
  readonly address: string
  /** `ip netns exec <name>`: runs a command there. */
  readonly within: readonly string[]
  start(name: string, options?: StartOptions): Promise<MeshAgent>
  pullCable(): void
  plugIn(): void
  /** Gives it another address; what was connected is cut. */
  move(address: string): void
  /** Looks for an address of another network on its own cable. */
  neighbour(address: string): void
  /** Lets no more than so much through from now on, the rest is lost; undefined: all that there is. */
  throttle(bitsPerSecond: number | undefined): void
}

export interface StartOptions {
  /** Its own of that name by default. */
  readonly dataDir?: string
  readonly argv?: readonly string[]
  /** A program of the tests that is started as the built one is. */
  readonly program?: readonly string[]
}

export interface Network {
  readonly machines: readonly Machine[]
  /** An address that no machine has. */
  address(host: number): string
}

export const TOKEN = 'token-of-the-namespaces'

/** Why there can be no namespaces here; undefined where there can. */
export function lacking(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux'
  if (process.getuid!() !== 0) return 'network namespaces need root'
  try {
    ip('netns', 'add', `cmtry${process.pid}`)
    ip('netns', 'delete', `cmtry${process.pid}`)
    return undefined
  } catch (error) {
    return `network namespaces cannot be made here: ${(error as Error).message}`
  }
}

/** Why the tests of whole networks are left out here: nobody asked for them, or the machine cannot. */
export function networkTestsLack(): string | false {
  const isWanted = process.env.COMFYMESH_LONG_TESTS !== undefined
  return isWanted ? (lacking() ?? false) : 'it takes minutes; see `npm run test:network`'
}

function ip(...argv: string[]): string {
  return execFileSync('ip', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function tc(...argv: string[]): void {
  execFileSync('tc', argv, { stdio: ['ignore', 'ignore', 'pipe'] })
}

let networks = 0

/**
 * A network with some machines; it is gone with the test, and their agents with it.
 * This process reaches the machines at their addresses, too.
 */
export function createNetwork(t: Test, machines: number): Network {
  removeLeftOvers()
  // The system takes names and interfaces apart in its own time: each network has new ones.
  const number = ++networks
  const id = `cm${process.pid}n${number}`
  // Two tests that run side by side must not share a network.
  const net = `10.${64 + ((process.pid + 37 * number) % 128)}.${(process.pid >> 7) % 256}`
  t.teardown(() => {
    for (let i = 1; i <= machines; i++) quietly('netns', 'delete', `${id}-${i}`)
    quietly('link', 'delete', id)
  })
  ip('link', 'add', id, 'type', 'bridge')
  ip('address', 'add', `${net}.254/24`, 'dev', id)
  ip('link', 'set', id, 'up')
  return {
    machines: Array.from({ length: machines }, (_, index) => createMachine(t, id, net, index + 1)),
    address: (host) => `${net}.${host}`,
  }
}

function quietly(...argv: string[]): void {
  try {
    ip(...argv)
  } catch {
    // It is gone already.
  }
}

/** What tests that were killed could not remove. */
function removeLeftOvers(): void {
  const isOver = (pid: string | undefined) => pid !== undefined && !existsSync(`/proc/${pid}`)
  for (const [name, pid] of ip('netns', 'list').matchAll(/^cm(\d+)n\d+-\d+/gm)) {
    if (isOver(pid)) quietly('netns', 'delete', name)
  }
  for (const [, name, pid] of ip('link').matchAll(/: (cm(\d+)n\d+):/g)) {
    if (isOver(pid)) quietly('link', 'delete', name!)
  }
}

function createMachine(t: Test, id: string, net: string, host: number): Machine {
  const space = `${id}-${host}`
  const port = `${id}p${host}`
  let address = `${net}.${host}`
  ip('netns', 'add', space)
  ip('link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space)
  ip('link', 'set', port, 'master', id, 'up')
  ip('-n', space, 'link', 'set', 'lo', 'up')
  ip('-n', space, 'address', 'add', `${address}/24`, 'dev', 'eth0')
  ip('-n', space, 'link', 'set', 'eth0', 'up')
  const within = ['ip', 'netns', 'exec', space]
  return {
    get address() {
      return address
    },
    within,
    async start(name, { dataDir = join(t.testdirName, name), argv = [], program } = {}) {
      const network = ['--host', address, '--token', TOKEN, '--mesh', 'on', '--name', name]
      const flags = ['--threads', '1', ...network, ...argv]
      const agent = await startBuiltAgent(dataDir, flags, within, program)
      t.teardown(() => agent.kill())
      return meshAgent(agent, name, within)
    },
    pullCable: () => ip('link', 'set', port, 'down'),
    plugIn: () => ip('link', 'set', port, 'up'),
    throttle(bitsPerSecond) {
      // Both ends of the cable: what the machine receives and what it sends.
      const ends = [['qdisc'], ['-n', space, 'qdisc']].map((words, index) => ({
        words,
        device: index === 0 ? port : 'eth0',
      }))
      for (const { words, device } of ends) {
        const where = ['dev', device, 'root']
        if (bitsPerSecond === undefined) tc(...words, 'delete', ...where)
        else {
          const rate = ['rate', String(bitsPerSecond), 'burst', '32kb', 'latency', '5ms']
          tc(...words, 'replace', ...where, 'tbf', ...rate)
        }
      }
    },
    move(next) {
      ip('-n', space, 'address', 'delete', `${address}/24`, 'dev', 'eth0')
      ip('-n', space, 'address', 'add', `${next}/24`, 'dev', 'eth0')
      address = next
    },
    neighbour: (other) => void ip('-n', space, 'route', 'add', `${other}/32`, 'dev', 'eth0'),
  }
}

function meshAgent(agent: BuiltAgent, name: string, within: readonly string[]): MeshAgent {
  const { hostname, port } = new URL(agent.url)
  const where = ['--host', hostname, '--port', port, '--data-dir', agent.dataDir, '--token', TOKEN]
  const askMesh: MeshAgent['ask'] = async (method, path, body) => {
    const headers = { authorization: `Bearer ${TOKEN}` }
    const answer = await ask(agent, method, `/v1/mesh/${path}`, body, headers)
    if (answer.status !== 200) throw new Error(`${name} answered: ${answer.text}`)
    return answer.body
  }
  const peers = async () => meshPeersSchema.parse(await askMesh('GET', 'peers'))
  return {
    ...agent,
    name,
    command: (...argv) => runBuilt([...argv, ...where], {}, within),
    ask: askMesh,
    peers,
    async connected() {
      const { peers: all } = await peers()
      return all.flatMap((one) => (one.state === 'connected' ? [one.name] : [])).sort()
    },
    freeze: () => process.kill(agent.pid, 'SIGSTOP'),
    thaw: () => process.kill(agent.pid, 'SIGCONT'),
  }
}

const LOOK_MS = 50

/** Waits until something holds. @returns how long that took. @throws Error when it never does. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  timeoutMs = 30_000,
): Promise<number> {
  const startedAt = performance.now()
  while (!(await holds())) {
    if (performance.now() - startedAt > timeoutMs) throw new Error(`It never came to be: ${what}.`)
    await sleep(LOOK_MS)
  }
  return performance.now() - startedAt
}

/** Waits until each sees exactly the others. */
export async function allSeeEachOther(...agents: readonly MeshAgent[]): Promise<void> {
  for (const agent of agents) {
    const others = agents.filter((one) => one !== agent).map(({ name }) => name)
    await until(`${agent.name} sees ${others}`, async () => {
      const connected = await agent.connected()
      return connected.join() === others.sort().join()
    })
  }
}

/** One invites, the others join by the same line. */
export async function makeMesh(first: MeshAgent, ...others: readonly MeshAgent[]): Promise<void> {
  const { line } = await first.ask('POST', 'invites', { uses: others.length })
  await Promise.all(others.map((other) => other.ask('POST', 'join', { invite: line! })))
  await allSeeEachOther(first, ...others)
}
