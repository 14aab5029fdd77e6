/** Stages as they are sent and shown. */
import type { PlanEdge, PlannedStage } from '@comfymesh/protocol/plan'
import type { NodeId } from '@comfymesh/protocol/workflow'
import { usedInputs } from './graph.ts'
import type { Units } from './group.ts'
import type { Problem } from './schedule.ts'
import { stageKey } from './signature.ts'
import type { StageDraft } from './stages.ts'

export function plannedStages(
  { graph, order }: Units,
  drafts: readonly StageDraft[],
  signatures: ReadonlyMap<NodeId, string>,
): PlannedStage[] {
  const rank = new Map(order.map((id, index) => [id, index]))
  const outputs = outputsOf(drafts)
  const stages: PlannedStage[] = []
  for (const [index, { units, after }] of drafts.entries()) {
    const ids = new Set(units.flatMap(({ loaders, nodes }) => [...loaders, ...nodes]))
    const nodes = [...ids]
      .sort((a, b) => rank.get(a)! - rank.get(b)!)
      .map((id) => ({
        id,
        classType: graph.prompt[id]!.class_type,
        inputs: Object.fromEntries(usedInputs(graph, id)),
        signature: signatures.get(id)!,
      }))
    stages.push({
      id: stageKey(nodes, outputs[index]!, 0),
      index: 0,
      nodes,
      after: after.map((before) => stages[before]!.id),
      outputs: outputs[index]!,
    })
  }
  return stages
}

/** By stage the values that others need from it, each once. */
function outputsOf(drafts: readonly StageDraft[]): PlannedStage['outputs'][] {
  const stageOf = stageOfUnit(drafts)
  const outputs = drafts.map(() => new Map<string, PlannedStage['outputs'][number]>())
  for (const { inputs } of drafts) {
    for (const { key, from, nodeId, slot, type } of inputs)
      if (from !== undefined) outputs[stageOf.get(from)!]!.set(key, { nodeId, slot, type })
  }
  return outputs.map((values) => [...values.values()])
}

/** @param stages one a draft. */
export function edgesOf(
  drafts: readonly StageDraft[],
  stages: readonly PlannedStage[],
  { heldMs }: Pick<Problem, 'heldMs'>,
): PlanEdge[] {
  const stageOf = stageOfUnit(drafts)
  return drafts.flatMap(({ inputs, peer }, index) =>
    inputs.map((input): PlanEdge => {
      const { from, nodeId, slot, type, bytes } = input
      const source = from === undefined ? undefined : stageOf.get(from)!
      const value = { to: stages[index]!.id, nodeId, slot, type, bytes }
      if (source === undefined) return { ...value, travels: heldMs(input, peer) > 0 }
      return { from: stages[source]!.id, ...value, travels: drafts[source]!.peer !== peer }
    }),
  )
}

function stageOfUnit(drafts: readonly StageDraft[]): Map<number, number> {
  return new Map(drafts.flatMap(({ units }, stage) => units.map(({ index }) => [index, stage])))
}
