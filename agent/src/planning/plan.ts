/**
 * The planner: a prompt becomes stages, each placed on a peer with the reason why.
 * This folder is pure: it knows no clock, disk or network, and what it needs to
 * know of peers, files and caches is passed in.
 */
import type { Plan } from '@comfymesh/protocol/plan'
import type { NodeId } from '@comfymesh/protocol/workflow'
import { executionOrder, type Graph } from './graph.ts'
import { oneStage } from './group.ts'
import { type PeerOffer, place } from './place.ts'

export interface PlanInput {
  readonly graph: Graph
  /** The outputs still to be made; those whose results are known are left out. */
  readonly outputs: readonly NodeId[]
  readonly signatures: ReadonlyMap<NodeId, string>
  /** In order of preference. */
  readonly peers: readonly PeerOffer[]
}

/** @throws MeshError `no_peer` */
export function planJob({ graph, outputs, signatures, peers }: PlanInput): Plan {
  const stages = oneStage(graph, executionOrder(graph, outputs), signatures)
  return { stages, placements: stages.map((stage) => place(stage, peers)) }
}
