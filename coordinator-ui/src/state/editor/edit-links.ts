/** Edits of links: how one is drawn, how some are taken away. */
import { isObject, objectOf } from '@comfymesh/protocol/convert/document'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import {
  type EditorNodeId,
  type Link,
  type LinkId,
  linksOf,
  listOf,
  nextIds,
  type Workflow,
  withLastIds,
  withNode,
  withNodes,
  without,
  writeLink,
} from './document.ts'
import { asWidget, released } from './edit-primitives.ts'
import {
  canConnect,
  fittingInput,
  type InputPlace,
  inputOf,
  type OutputPlace,
} from './fitting-links.ts'
import { type InputView, slotOfInput } from './node-parts.ts'
import { type NodeView, viewById } from './node-view.ts'

/** A link with one end: the other was let go over no socket. */
export type LooseLink =
  | { readonly side: 'output'; readonly type: string; readonly from: OutputPlace }
  | { readonly side: 'input'; readonly type: string; readonly to: InputPlace }

/** Links the loose end to the socket of the node that fits it best. */
export function connectToNode(
  workflow: Workflow,
  loose: LooseLink,
  nodeId: EditorNodeId,
  definitions: NodeDefinitions,
): Workflow {
  const view = viewById(workflow, nodeId, definitions)
  if (view === undefined) return workflow
  if (loose.side === 'output') {
    const input = fittingInput(view, loose.type)
    return input ? connect(workflow, loose.from, { nodeId, key: input.key }, definitions) : workflow
  }
  const fits = ({ slot }: { readonly slot: number }) =>
    canConnect(workflow, { nodeId, slot }, loose.to, definitions)
  const output =
    view.outputs.find((one) => one.type === loose.type && fits(one)) ?? view.outputs.find(fits)
  return output ? connect(workflow, { nodeId, slot: output.slot }, loose.to, definitions) : workflow
}

/** The workflow with that link; what fed the input before is unlinked. */
export function connect(
  workflow: Workflow,
  from: OutputPlace,
  to: InputPlace,
  definitions: NodeDefinitions,
): Workflow {
  if (!canConnect(workflow, from, to, definitions)) return workflow
  const source = viewById(workflow, from.nodeId, definitions)!
  const target = viewById(workflow, to.nodeId, definitions)!
  const input = inputOf(target, to.key)!
  const isSame = linksOf(workflow).some(
    ({ id, originId, originSlot }) =>
      id === input.linkId && originId === from.nodeId && originSlot === from.slot,
  )
  if (isSame) return workflow
  const freed =
    input.linkId === undefined ? workflow : removeLinks(workflow, new Set([input.linkId]))
  const id = nextIds(freed).link
  const listed = withNode(freed, to.nodeId, (node) => linkedInput(node, target, input, id))
  const told = withNode(listed, from.nodeId, (node) =>
    linkedOutput(sourceFor(node, source, target, input), source, from.slot, id),
  )
  const targetSlot = listOf(nodeById(told, to.nodeId)?.inputs).findIndex(
    (slot) => objectOf(slot).link === id,
  )
  const link: Link = {
    id: String(id),
    originId: from.nodeId,
    originSlot: from.slot,
    targetId: to.nodeId,
    targetSlot,
    type: source.kind === 'primitive' ? input.type : source.outputs[from.slot]!.type,
  }
  const drawn = { ...told, links: [...listOf(told.links), writeLink(told, link)] }
  return withLastIds(withRerouteType(drawn, target, link.type), { link: id })
}

const nodeById = (workflow: Workflow, id: EditorNodeId): JsonObject | undefined =>
  listOf(workflow.nodes)
    .filter(isObject)
    .findLast((node) => String(node.id) === id)

/** A primitive that fed nothing becomes the widget that it is linked to. */
function sourceFor(node: JsonObject, source: NodeView, target: NodeView, input: InputView) {
  if (source.kind !== 'primitive' || source.widgets.length > 0) return node
  const widget = target.widgets.find((one) => one.input === input)
  return widget === undefined ? node : asWidget(node, widget)
}

/** Inputs that the file does not list yet, such as those of widgets, are added at its end. */
function linkedInput(node: JsonObject, view: NodeView, input: InputView, linkId: number) {
  const inputs = listOf(node.inputs)
  const at = slotOfInput(node, input.key)
  if (at >= 0) {
    return { ...node, inputs: inputs.with(at, { ...objectOf(inputs[at]), link: linkId }) }
  }
  const isWidget = view.widgets.some((widget) => widget.input === input)
  const slot: JsonObject = {
    name: input.name,
    type: input.type,
    ...(isWidget && { widget: { name: input.name } }),
    link: linkId,
  }
  return { ...node, inputs: [...inputs, slot] }
}

/** Outputs that came with a newer definition are added as it has them. */
function linkedOutput(node: JsonObject, { outputs }: NodeView, slot: number, linkId: number) {
  const listed = listOf(node.outputs)
  const missing = outputs
    .slice(listed.length, Math.max(listed.length, slot + 1))
    .map(({ name, type }): JsonObject => ({ name, type, links: null }))
  const all: JsonValue[] = [...listed, ...missing]
  const output = objectOf(all[slot])
  return {
    ...node,
    outputs: all.with(slot, { ...output, links: [...listOf(output.links), linkId] }),
  }
}

/** A reroute is of the type of what it passes on. */
function withRerouteType(workflow: Workflow, { id, kind }: NodeView, type: string): Workflow {
  if (kind !== 'reroute') return workflow
  return withNode(workflow, id, (node) => {
    const [output, ...others] = listOf(node.outputs)
    return { ...node, outputs: [{ ...objectOf(output), name: type, type }, ...others] }
  })
}

/** The workflow without these links, wherever it speaks of them. */
export function removeLinks(workflow: Workflow, ids: ReadonlySet<LinkId>): Workflow {
  const removed = linksOf(workflow).filter(({ id }) => ids.has(id))
  if (removed.length === 0) return workflow
  const isRemoved = (id: JsonValue | undefined) => ids.has(String(id))
  const ends = new Set(removed.flatMap(({ originId, targetId }) => [originId, targetId]))
  const unlinked = withNodes(workflow, ends, (node) => {
    const { inputs, outputs, type } = node
    const free = {
      ...node,
      ...(Array.isArray(inputs) && { inputs: inputs.map(unlinkedInput(isRemoved)) }),
      ...(Array.isArray(outputs) && { outputs: outputs.map(unlinkedOutput(isRemoved)) }),
    }
    const isLinked = listOf(free.outputs).some((one) => listOf(objectOf(one).links).length > 0)
    return type === 'PrimitiveNode' && !isLinked ? released(free) : free
  })
  const links = listOf(workflow.links).filter(
    (link) => !isRemoved(Array.isArray(link) ? link[0] : objectOf(link).id),
  )
  return withoutWaypoints({ ...unlinked, links }, isRemoved)
}

type IsRemoved = (id: JsonValue | undefined) => boolean

const unlinkedInput = (isRemoved: IsRemoved) => (slot: JsonValue) =>
  isObject(slot) && isRemoved(slot.link) ? { ...slot, link: null } : slot

const unlinkedOutput = (isRemoved: IsRemoved) => (slot: JsonValue) =>
  isObject(slot) && listOf(slot.links).some(isRemoved)
    ? { ...slot, links: listOf(slot.links).filter((id) => !isRemoved(id)) }
    : slot

/** The points that only these links went through, and the table of who goes through which. */
function withoutWaypoints(workflow: Workflow, isRemoved: IsRemoved): Workflow {
  const { extra } = workflow
  const here = withoutReroutes(workflow, isRemoved)
  if (!isObject(extra)) return here
  const extensions = Array.isArray(extra.linkExtensions)
    ? extra.linkExtensions.filter((one) => !isRemoved(objectOf(one).id))
    : undefined
  const inside = withoutReroutes(extra, isRemoved)
  if (inside === extra && extensions?.length === listOf(extra.linkExtensions).length) return here
  return { ...here, extra: { ...inside, ...(extensions && { linkExtensions: extensions }) } }
}

function withoutReroutes(holder: JsonObject, isRemoved: IsRemoved): JsonObject {
  if (!Array.isArray(holder.reroutes)) return holder
  const passed = (one: JsonValue) => listOf(objectOf(one).linkIds)
  if (!holder.reroutes.some((one) => passed(one).some(isRemoved))) return holder
  const reroutes = holder.reroutes.flatMap((one) => {
    const linkIds = passed(one).filter((id) => !isRemoved(id))
    if (linkIds.length === passed(one).length) return [one]
    // One that a loose end still hangs on stays.
    const isLoose = isObject(objectOf(one).floating)
    return linkIds.length === 0 && !isLoose ? [] : [{ ...objectOf(one), linkIds }]
  })
  return reroutes.length === 0 ? without(holder, 'reroutes') : { ...holder, reroutes }
}
