/** Whether this machine finds the other machines of its mesh, and they find it. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type MeshPeers, meshPeersSchema } from '@comfymesh/protocol/mesh'
import { counted } from '../../base/duration.ts'
import type { Finding } from '../../doctor/finding.ts'
import { announcedInterfaces } from '../../mesh/interfaces.ts'
import { storedMembership } from '../../mesh/membership-store.ts'
import { DEFAULT_MESH_PORT, portsBeside } from '../../mesh/peer-address.ts'
import { runningAgent } from '../agent-access.ts'
import { askMesh } from '../mesh-access.ts'
import type { LoadedSettings } from '../settings.ts'

const CHECK = 'Mesh'

export async function checkMesh(settings: LoadedSettings): Promise<Finding[]> {
  if (settings.mesh === undefined)
    return [{ check: CHECK, state: 'ok', message: 'off: this machine works alone' }]
  const multicast = settings.mesh.discovery ? await multicastFindings() : []
  const agent = await runningAgent(settings)
  if (agent !== undefined) {
    const peers = await askMesh(agent, 'GET', 'peers', meshPeersSchema)
    return [...memberFindings(peers), ...multicast]
  }
  const ports = await portFindings(settings.mesh.port)
  return [membershipFinding(settings.dataDir), ...ports, ...multicast]
}

/** What the agent that runs knows of its mesh. Pure. */
export function memberFindings({ problem, peers }: MeshPeers): Finding[] {
  if (problem !== undefined) {
    const advice = 'The agent works alone meanwhile; start it again when this is mended.'
    return [{ check: CHECK, state: 'problem', message: problem.message, advice }]
  }
  const others = peers.filter(({ state }) => state !== 'self')
  if (others.length === 0) {
    const message = 'alone so far; another machine joins by `comfymesh invite`'
    return [{ check: CHECK, state: 'ok', message, data: { members: 1 } }]
  }
  const away = others.filter(({ state }) => state === 'away').map(({ name }) => name)
  const connected = others.length - away.length
  const message = `${connected} of ${counted(others.length, 'other machine')} connected`
  const data = { members: peers.length, away }
  if (away.length === 0) return [{ check: CHECK, state: 'ok', message, data }]
  const advice = `Where ${away.join(', ')} should be there: is its agent running, is it on this network, and does its firewall let the ports of the mesh in? What multicast does not reach is named with --peer; who is gone for good is removed with \`comfymesh peers remove\`.`
  return [
    { check: CHECK, state: 'note', message: `${message}; away: ${away.join(', ')}`, advice, data },
  ]
}

/** Before the agent runs: what lies in its data folder. */
function membershipFinding(dataDir: string): Finding {
  const membership = storedMembership(dataDir)
  const members = membership?.members.length ?? 0
  const message =
    members > 1
      ? `a member of a mesh of ${members} machines; the agent is not running`
      : 'alone so far; the agent is not running'
  return { check: CHECK, state: 'ok', message, data: { members } }
}

/** The ports of the mesh, when no agent of this machine has them. */
async function portFindings(given: number | undefined): Promise<Finding[]> {
  if (given === 0) return []
  const port = given ?? DEFAULT_MESH_PORT
  const ports = portsBeside(port)
  const free = await Promise.all(ports.map(isFree))
  const taken = ports.filter((_, index) => !free[index])
  const check = 'Mesh ports'
  const data = { ports, taken }
  if (taken.length === 0)
    return [{ check, state: 'ok', message: `${ports.join(', ')} are free`, data }]
  const isNeeded = given !== undefined && taken.includes(given)
  const message = `${taken.join(', ')} taken by another program`
  return isNeeded
    ? [{ check, state: 'problem', message, advice: 'Choose another with --mesh-port.', data }]
    : [{ check, state: 'note', message: `${message}; another is used instead`, data }]
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () =>
      server.close(() => resolve(true)),
    )
  })
}

const MDNS_GROUP = '224.0.0.251'
/** Discarded wherever it arrives: it is only to be seen whether it can be sent. */
const DISCARD_PORT = 9

/** By interface whether multicast can be joined and sent. */
async function multicastFindings(): Promise<Finding[]> {
  const check = 'Discovery'
  const interfaces = announcedInterfaces(networkInterfaces())
  const failures = await Promise.all(interfaces.map(({ address }) => multicastError(address)))
  const names = interfaces.map(({ interfaceName, address }) => `${interfaceName} (${address})`)
  const bad = names.flatMap((name, index) =>
    failures[index] === undefined ? [] : [`${name}: ${failures[index]}`],
  )
  if (names.length === 0) {
    const message = 'no network: other machines cannot be found'
    return [{ check, state: 'note', message }]
  }
  if (bad.length === 0)
    return [{ check, state: 'ok', message: `by multicast on ${names.join(', ')}`, data: { names } }]
  const message = `no multicast on ${bad.join('; ')}`
  const advice =
    'Machines there are not found by themselves: give multicast a route (on Linux `ip route add 224.0.0.0/4 dev <interface>`), or name them with --peer.'
  return [{ check, state: 'note', message, advice, data: { names, bad } }]
}

/** @returns the code of what failed. */
function multicastError(address: string): Promise<string | undefined> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  return new Promise<string | undefined>((resolve) => {
    const end = (error?: NodeJS.ErrnoException | null) => resolve(error?.code ?? error?.message)
    socket.once('error', end)
    socket.bind(0, () => {
      try {
        socket.addMembership(MDNS_GROUP, address)
        socket.setMulticastInterface(address)
        socket.send('', DISCARD_PORT, MDNS_GROUP, end)
      } catch (error) {
        end(error as NodeJS.ErrnoException)
      }
    })
  }).finally(() => socket.close())
}
