/** What planning starts from: the prompt in units, the peers, who can do what, and for how much. */
import type { PlanOptions } from '@comfymesh/protocol/plan'
import type { NodeId, NodeLink } from '@comfymesh/protocol/workflow'
import { type Abilities, abilitiesOf } from './abilities.ts'
import { type Bindings, bindingsOf } from './affinity.ts'
import { type UnitCost, unitCosts } from './cost.ts'
import type { Graph } from './graph.ts'
import { type Unit, type UnitInput, type Units, unitsOf, valueKey } from './group.ts'
import { type Guess, guessOf } from './guess.ts'
import type { LearnedTimes } from './learned-times.ts'
import { type MeantModels, type ModelUse, meantModels, modelUses } from './model-use.ts'
import { measuresOf } from './node-work.ts'
import { type MeasuredLink, type Peer, type PeerOffer, type Peers, peersOf } from './peers.ts'
import type { Problem } from './schedule.ts'

export interface PlanInput {
  readonly graph: Graph
  /** The outputs still to be made; those whose results are known are left out. */
  readonly outputs: readonly NodeId[]
  readonly signatures: ReadonlyMap<NodeId, string>
  readonly peers: readonly PeerOffer[]
  /** The peer that plans: it holds uploaded files, gets the results and wins ties. */
  readonly submitterId: string
  readonly options?: PlanOptions
  readonly links?: readonly MeasuredLink[]
  /** What nodes took on each peer; guessed where nothing is learned. */
  readonly times?: LearnedTimes
  /** Values that exist already; what makes nothing else is not run. */
  readonly held?: readonly HeldValue[]
  /** Peers that take no part, each with the reason. */
  readonly excluded?: ReadonlyMap<string, string>
}

/** A value that exists, and the peers that hold it. */
export interface HeldValue {
  readonly nodeId: NodeId
  readonly slot: number
  readonly peerIds: readonly string[]
}

/** What does not depend on where the user wants things. */
export interface Basis {
  readonly signatures: ReadonlyMap<NodeId, string>
  readonly units: Units
  readonly peers: Peers
  readonly models: MeantModels
  readonly uses: ReadonlyMap<NodeId, readonly ModelUse[]>
  readonly guesses: ReadonlyMap<NodeId, Guess>
  readonly cost: (unit: Unit) => UnitCost
  readonly heldMs: Problem['heldMs']
}

/** The same under an affinity. */
export interface Situation {
  readonly units: Units
  readonly bindings: Bindings
  readonly abilities: Abilities
  readonly problem: Problem
}

export function basisOf(input: PlanInput): Basis {
  const { graph, outputs, signatures, held = [], times = new Map() } = input
  const peers = peersOf(input)
  const holders = holdersOf(held, peers)
  // Most plans begin with nothing made: then no key is needed.
  const isMade = ([id, slot]: NodeLink) => holders.size > 0 && holders.has(valueKey(id, slot))
  const units = unitsOf(graph, outputs, isMade)
  const models = meantModels(peers)
  const uses = modelUses(graph, units.order, units.values)
  const guesses = new Map(
    units.order.map((id) => {
      const weightBytes = bytesOf(uses.get(id)![0], models)
      return [id, guessOf(graph, id, units.values, units.extents.get(id)!, weightBytes)]
    }),
  )
  const works = new Map(measuresOf(graph.prompt, units.whole).map((one) => [one.nodeId, one]))
  const cost = unitCosts({ units, peers, models, uses, guesses, times, works })
  const heldMs = ({ key, bytes }: UnitInput, peer: Peer) =>
    Math.min(...holders.get(key)!.map((holder) => peers.transferMs(holder, peer, bytes)))
  return { signatures, units, peers, models, uses, guesses, cost, heldMs }
}

/** Of what a node computes with; what else it names, such as a LoRA, only changes that. */
function bytesOf(use: ModelUse | undefined, models: MeantModels): number | undefined {
  const model = use && models.find(use.name)
  return model && model.sizeBytes * use.share
}

export function situationOf(basis: Basis, affinity: PlanOptions['affinity']): Situation {
  const { units, peers, cost, heldMs } = basis
  const bindings = bindingsOf(units.graph, peers, affinity)
  const abilities = abilitiesOf({ ...basis, bindings })
  const able = units.list.map((unit) => abilities.able(unit))
  const problem = { units: units.list, peers, able, cost, heldMs }
  return { units, bindings, abilities, problem }
}

/** Values whose holders are all gone must be made again. */
function holdersOf(held: readonly HeldValue[], { byId }: Peers): Map<string, Peer[]> {
  const holders = new Map<string, Peer[]>()
  for (const { nodeId, slot, peerIds } of held) {
    const present = peerIds.flatMap((id) => byId.get(id) ?? [])
    // A peer that failed the job may still hand out what it made before.
    const reachable = present.filter(({ offer }) => offer.absence === undefined)
    if (reachable.length > 0) holders.set(valueKey(nodeId, slot), reachable)
  }
  return holders
}
