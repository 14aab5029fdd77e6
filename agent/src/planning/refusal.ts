/** What cannot be placed, and how that is told. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Rejection } from '@comfymesh/protocol/plan'
import type { Situation } from './basis.ts'
import type { Unit } from './group.ts'
import { lackOf } from './place.ts'

/** The units that no peer can run. */
export function stuckUnits({ problem }: Situation): Unit[] {
  return problem.units.filter(({ index }) => problem.able[index] === 0n)
}

interface RefusedWish {
  /** The affinity's keys that cannot be met. */
  readonly keys: ReadonlySet<string>
  readonly reason: string
  readonly error: MeshError
}

/** Whether it is the user's affinity for which units are stuck; undefined when none binds them. */
export function wishRefused(
  { bindings, abilities, problem, units }: Situation,
  stuck: readonly Unit[],
): RefusedWish | undefined {
  const bound = stuck
    .flatMap(({ loaders, nodes }) => [...loaders, ...nodes])
    .filter((id) => bindings.key(id) !== undefined)
  const [first] = bound
  if (first === undefined) return undefined
  const unit = stuck.find(({ loaders, nodes }) => loaders.includes(first) || nodes.includes(first))!
  const wanted = problem.peers.list.filter(({ bit }) => (bindings.allowed(first) & bit) !== 0n)
  const why = wanted.map((peer) => `${peer.name}: ${lackOf({ units: [unit] }, peer, abilities)}`)
  const reason = `${bindings.reason(first)}, but ${why.join('; ') || 'no peer is called so'}`
  const message = `${reason}. Choose another peer for node ${first} (${units.graph.prompt[first]!.class_type}), or the fallback "auto".`
  const details = { nodeId: first, rejected: rejections([unit], { abilities, problem }) }
  const keys = new Set(bound.map((id) => bindings.key(id)!))
  return { keys, reason, error: new MeshError('no_peer', message, { details }) }
}

/** Names the node and what each peer lacks for it. */
export function noPeer(situation: Situation, unit: Unit): MeshError {
  const { problem, units } = situation
  if (problem.peers.list.length === 0)
    return new MeshError('no_peer', 'No peer can run this prompt: there is none.')
  const rejected = rejections([unit], situation)
  const nodeId = unit.nodes[0]!
  const node = `${units.graph.prompt[nodeId]!.class_type} (node ${nodeId})`
  const message = `No peer can run ${node} with all that it needs: ${told(rejected)}.`
  return new MeshError('no_peer', message, { details: { nodeId, rejected } })
}

function rejections(
  units: readonly Unit[],
  { abilities, problem }: Pick<Situation, 'abilities' | 'problem'>,
): Rejection[] {
  return problem.peers.list.map((peer) => {
    const reason = lackOf({ units }, peer, abilities) ?? 'can'
    return { peerId: peer.peerId, peerName: peer.name, reason }
  })
}

const MAX_NAMES = 5

/** Peers with the same reason together; not a hundred names. */
function told(rejected: readonly Rejection[]): string {
  const names = new Map<string, string[]>()
  for (const { peerName, reason } of rejected)
    names.set(reason, [...(names.get(reason) ?? []), peerName])
  return [...names]
    .map(([reason, all]) => {
      const more = all.length > MAX_NAMES ? ` and ${all.length - MAX_NAMES} more` : ''
      return `${all.slice(0, MAX_NAMES).join(', ')}${more}: ${reason}`
    })
    .join('; ')
}
