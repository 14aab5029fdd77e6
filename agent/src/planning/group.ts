/**
 * Nodes grouped into stages. Handles (MODEL, CLIP, VAE, ...) never travel and
 * tensors are better left where they are, so the first and best grouping is one
 * stage of everything.
 */
import type { PlannedStage } from '@comfymesh/protocol/plan'
import type { NodeId } from '@comfymesh/protocol/workflow'
import { type Graph, usedInputs } from './graph.ts'
import { stageKey } from './signature.ts'

/** One stage that holds every node of `order`; none when there is nothing to run. */
export function oneStage(
  graph: Graph,
  order: readonly NodeId[],
  signatures: ReadonlyMap<NodeId, string>,
): PlannedStage[] {
  if (order.length === 0) return []
  const nodes = order.map((id) => ({
    id,
    classType: graph.prompt[id]!.class_type,
    inputs: Object.fromEntries(usedInputs(graph, id)),
    signature: signatures.get(id)!,
  }))
  return [{ id: stageKey(nodes, 0), index: 0, nodes, after: [], outputs: [] }]
}
