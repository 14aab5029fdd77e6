/** Where a stage runs: a peer that can, and for every other peer the reason why not. */
import type { Advertisement } from '@comfymesh/protocol/advertisement'
import { MeshError } from '@comfymesh/protocol/errors'
import type { Placement, PlannedNode, PlannedStage } from '@comfymesh/protocol/plan'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { declaredInputs } from './graph.ts'
import { optionsOf } from './validate-input.ts'

/** What the planner knows of a peer. */
export interface PeerOffer {
  readonly advertisement: Advertisement
  /** The nodes it runs, its own models in their dropdowns. */
  readonly definitions: NodeDefinitions
  /** Inputs of a class that its own code judges: not bound to their dropdowns. */
  readonly judgedInputs: (classType: string) => readonly string[]
}

/** The nodes of all peers together; of one that several offer, the first peer's definition. */
export function definitionsOf(offers: readonly PeerOffer[]): NodeDefinitions {
  return Object.assign({}, ...offers.map((offer) => offer.definitions).reverse())
}

/**
 * The first peer that can run the whole stage; `peers` come in order of preference.
 * @throws MeshError `no_peer`, its message naming what each peer lacks.
 */
export function place(stage: PlannedStage, peers: readonly PeerOffer[]): Placement {
  const able: PeerOffer[] = []
  const rejected: Placement['rejected'] = []
  for (const peer of peers) {
    const lack = firstLack(stage, peer)
    if (lack === undefined) able.push(peer)
    else rejected.push({ ...named(peer), reason: lack })
  }
  const [chosen, ...others] = able
  if (chosen === undefined) throw noPeer(rejected)
  const behind = others.map((peer) => ({
    ...named(peer),
    reason: `able, but ${chosen.advertisement.name} comes first`,
  }))
  const reason =
    peers.length === 1
      ? 'the only peer of the mesh; it runs every node, so nothing travels'
      : 'runs every node, so nothing travels'
  return { stageId: stage.id, ...named(chosen), reason, rejected: [...rejected, ...behind] }
}

function named({ advertisement }: PeerOffer): { peerId: string; peerName: string } {
  return { peerId: advertisement.peerId, peerName: advertisement.name }
}

function firstLack(stage: PlannedStage, peer: PeerOffer): string | undefined {
  for (const node of stage.nodes) {
    const lack = lackForNode(node, peer)
    if (lack !== undefined) return lack
  }
  return undefined
}

/** What keeps a peer from running a node: the class, or a model or option in one of its dropdowns. */
function lackForNode(node: PlannedNode, peer: PeerOffer): string | undefined {
  const definition = peer.definitions[node.classType]
  if (definition === undefined) return `lacks node class ${node.classType}`
  const judged = peer.judgedInputs(node.classType)
  for (const [name, config] of declaredInputs(definition)) {
    const options = optionsOf(config)
    const value = node.inputs[name]
    if (options === undefined || value === undefined || judged.includes(name)) continue
    if (Array.isArray(value) || options.includes(value)) continue
    const isFile = typeof value === 'string' && /\.\w+$/.test(value)
    return isFile ? `lacks model ${value}` : `does not offer ${name} ${String(value)}`
  }
  return undefined
}

function noPeer(rejected: Placement['rejected']): MeshError {
  const reasons = rejected.map(({ peerName, reason }) => `${peerName} ${reason}`).join('; ')
  const message = `No peer can run this prompt: ${reasons || 'there is no peer'}.`
  return new MeshError('no_peer', message, { details: { rejected } })
}
