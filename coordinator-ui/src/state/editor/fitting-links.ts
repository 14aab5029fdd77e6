/** Which links fit: from which output to which input one may go. */
import { typesFit } from '@comfymesh/protocol/convert/slot-types'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { type EditorNodeId, linksOf, type Workflow } from './document.ts'
import { suits } from './edit-primitives.ts'
import { allInputs, type InputView } from './node-parts.ts'
import { type NodeView, viewById } from './node-view.ts'

export interface OutputPlace {
  readonly nodeId: EditorNodeId
  readonly slot: number
}

export interface InputPlace {
  readonly nodeId: EditorNodeId
  /** `InputView.key` */
  readonly key: string
}

/** Whether a link may go from the one to the other: types that fit, and no circle. */
export function canConnect(
  workflow: Workflow,
  from: OutputPlace,
  to: InputPlace,
  definitions: NodeDefinitions,
): boolean {
  const source = viewById(workflow, from.nodeId, definitions)
  const target = viewById(workflow, to.nodeId, definitions)
  const output = source?.outputs[from.slot]
  const input = target && inputOf(target, to.key)
  if (!source || !target || !output || !input) return false
  if (source.kind === 'primitive' && !suits(source, target, to.key)) return false
  return typesFit(output.type, input.type) && !leadsTo(workflow, to.nodeId, from.nodeId)
}

/** The first free input that fits, or else the first that fits. */
export function fittingInput(target: NodeView, type: string): InputView | undefined {
  const fitting = allInputs(target).filter((input) => typesFit(type, input.type))
  // What takes anything comes last, and so do widgets: they have a value already.
  const rank = (input: InputView) =>
    Number(input.linkId !== undefined) * 4 +
    Number(input.type === '*') * 2 +
    Number(!target.inputs.includes(input))
  return fitting.toSorted((one, other) => rank(one) - rank(other))[0]
}

/** @param key `InputView.key` */
export function inputOf(view: NodeView, key: string): InputView | undefined {
  return allInputs(view).find((input) => input.key === key)
}

/** Whether links lead from the one node to the other; a node leads to itself. */
function leadsTo(workflow: Workflow, start: EditorNodeId, end: EditorNodeId): boolean {
  const targets = new Map<EditorNodeId, EditorNodeId[]>()
  for (const { originId, targetId } of linksOf(workflow)) {
    const known = targets.get(originId)
    if (known) known.push(targetId)
    else targets.set(originId, [targetId])
  }
  const seen = new Set<EditorNodeId>()
  const waiting = [start]
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (id === end) return true
    if (seen.has(id)) continue
    seen.add(id)
    waiting.push(...(targets.get(id) ?? []))
  }
  return false
}
