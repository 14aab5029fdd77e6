/** What is made of a job already, and who holds it. */
import type { JobState } from '@comfymesh/protocol/job'
import { plansOf } from '@comfymesh/protocol/job'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { Plan } from '@comfymesh/protocol/plan'
import type { ValueReference } from '@comfymesh/protocol/value'
import type { NodeId } from '@comfymesh/protocol/workflow'
import { valueKey } from '../planning/group.ts'
import type { Faults } from './faults.ts'
import type { MadeSoFar } from './job-plan.ts'
import type { PictureFiles } from './picture-files.ts'

/** What a plan for the rest of the job starts from. */
export async function madeSoFar(
  state: JobState,
  faults: Pick<Faults, 'isHolder'>,
  pictures: Pick<PictureFiles, 'exist'>,
): Promise<Pick<MadeSoFar, 'made' | 'done' | 'held'>> {
  const made = new Map<NodeId, JsonObject>()
  for (const [id, output] of Object.entries(state.outputs))
    if (await pictures.exist(output)) made.set(id, output)
  const finished = new Set(state.stages.map(({ stageId }) => stageId))
  const stages = plansOf(state).flatMap(({ plan }) => plan.stages)
  const shows = ({ id }: { id: NodeId }) => Object.hasOwn(state.outputs, id)
  // What an output node showed counts as long as its files are there.
  const done = stages
    .filter(({ id }) => finished.has(id))
    .flatMap(({ nodes }) => nodes.flatMap((node) => (shows(node) ? [] : [node.id])))
  const held = [...heldValues(state, faults).values()].map(({ nodeId, slot, holders }) => ({
    nodeId,
    slot,
    peerIds: holders,
  }))
  return { made, done: new Set(done), held }
}

/**
 * The values that a stage needs, each with those who hold it.
 * @throws Error when one was not made: the stage is not ready.
 */
export function inputsOf(
  stageId: string,
  { edges }: Plan,
  state: JobState,
  faults: Pick<Faults, 'isHolder'>,
): ValueReference[] {
  const held = heldValues(state, faults)
  const keys = edges.flatMap(({ to, nodeId, slot }) =>
    to === stageId ? [valueKey(nodeId, slot)] : [],
  )
  return [...new Set(keys)].map((key) => {
    const value = held.get(key)
    if (value === undefined) throw new Error(`stage ${stageId} needs ${key}, which nobody holds`)
    return value
  })
}

/** The values that finished stages made; whoever has used one has it, too. */
function heldValues(
  state: JobState,
  { isHolder }: Pick<Faults, 'isHolder'>,
): Map<string, ValueReference> {
  const edges = plansOf(state).flatMap(({ plan }) => plan.edges)
  const values = state.stages.flatMap((stage) => stage.values)
  const held = new Map<string, ValueReference>()
  for (const value of values) {
    const key = valueKey(value.nodeId, value.slot)
    const users = state.stages.filter(({ stageId }) =>
      edges.some(({ to, nodeId, slot }) => to === stageId && valueKey(nodeId, slot) === key),
    )
    const all = new Set([...value.holders, ...users.map(({ peerId }) => peerId)])
    const holders = [...all].filter((peerId) => isHolder(peerId, value.blob.hash))
    if (holders.length > 0) held.set(key, { ...value, holders })
  }
  return held
}
