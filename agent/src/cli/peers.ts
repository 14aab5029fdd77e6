/** `comfymesh peers`: the machines of the mesh, and sending one away. */
import {
  type MeshPeer,
  type MeshPeers,
  meshPeersSchema,
  type Rotated,
  rotatedSchema,
} from '@comfymesh/protocol/mesh'
import { byteSize, counted } from '../base/duration.ts'
import { neededAgent } from './agent-access.ts'
import { type Arguments, isGiven, settingFlags, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { agentSettings } from './invite.ts'
import { askMesh } from './mesh-access.ts'
import { loadSettings } from './settings.ts'
import { type Terminal, terminalAt } from './terminal.ts'

export const peersCommand: Command = {
  name: 'peers',
  summary: 'Show the machines of the mesh, or send one away',
  usage: 'peers [remove <name>] [options]',
  description:
    'A machine that is removed cannot come back without an invite: the secret of the mesh changes, ' +
    'and the others follow. Ends with 1 when this machine should be in a mesh and is not.',
  options: [{ flag: 'json', description: 'Prints one JSON object instead of text' }],
  settings: agentSettings,
  examples: [
    { command: 'comfymesh peers', what: 'who is there and what each has' },
    { command: 'comfymesh peers remove studio-pc', what: 'send a machine away' },
  ],
  run,
}

async function run(given: Arguments): Promise<number> {
  const [action, called, tooMuch] = given.positionals
  if (action !== undefined && action !== 'remove')
    throw new UsageError(`peers knows only 'remove', not '${action}'.`)
  if (tooMuch !== undefined) throw new UsageError(`There is one name too many: '${tooMuch}'.`)
  if (action === 'remove' && called === undefined) throw new UsageError('Say which peer.')
  const agent = await neededAgent(loadSettings({ flags: settingFlags(given) }))
  const asJson = isGiven(given, 'json')
  if (called !== undefined) {
    const path = `peers/${encodeURIComponent(called)}`
    const changed = await askMesh(agent, 'DELETE', path, rotatedSchema)
    if (asJson) console.log(JSON.stringify(changed))
    else console.log([`${called} is removed.`, ...rotatedLines(changed)].join('\n'))
    return 0
  }
  const peers = await askMesh(agent, 'GET', 'peers', meshPeersSchema)
  if (asJson) console.log(JSON.stringify(peers))
  else console.log(peersLines(peers, terminalAt(process.stdout), Date.now()).join('\n'))
  return peers.problem === undefined ? 0 : 1
}

/** How a change of the secret reached the others. */
export function rotatedLines({ followed, later }: Rotated): string[] {
  return [
    ...(followed.length > 0 ? [`Followed: ${followed.join(', ')}.`] : []),
    ...(later.length > 0 ? [`Away, will follow when they are back: ${later.join(', ')}.`] : []),
  ]
}

/** A line a machine, what is wrong before them. */
function peersLines({ peers, problem }: MeshPeers, { paint }: Terminal, nowMs: number): string[] {
  const width = Math.max(...peers.map(({ name }) => name.length))
  const lines = peers.map((peer) => {
    const mark = peer.state === 'away' ? paint('dim', '○') : paint('green', '●')
    return `${mark} ${peer.name.padEnd(width)}  ${detailsOf(peer, nowMs).join(', ')}`
  })
  const alone =
    peers.length === 1 ? ['Alone so far. Another machine joins by: comfymesh invite'] : []
  return [...(problem ? [paint('red', problem.message)] : []), ...lines, ...alone]
}

function detailsOf(peer: MeshPeer, nowMs: number): string[] {
  const { state, host, advertisement: offer, lastSeenAtMs } = peer
  if (state === 'away') {
    return [lastSeenAtMs ? `away, seen ${ago(nowMs - lastSeenAtMs)} ago` : 'away, never met']
  }
  const devices = (offer?.devices ?? []).map(
    ({ name, totalBytes }) => `${name} (${byteSize(totalBytes)})`,
  )
  const jobs = (offer?.queue.running ?? 0) + (offer?.queue.waiting ?? 0)
  return [
    state === 'self' ? 'this machine' : (host ?? 'connected'),
    ...devices,
    ...(jobs > 0 ? [counted(jobs, 'job')] : []),
    ...(offer === undefined ? [] : [offer.version]),
  ]
}

function ago(durationMs: number): string {
  const minutes = Math.floor(durationMs / 60_000)
  if (minutes < 1) return `${Math.max(0, Math.floor(durationMs / 1000))} s`
  if (minutes < 60) return `${minutes} min`
  return minutes < 2 * 24 * 60
    ? `${Math.floor(minutes / 60)} h`
    : `${Math.floor(minutes / 1440)} days`
}
