/**
 * A workflow as the editor holds it: the JSON as it was parsed, never changed in place. Here is how
 * it is read and how parts of it are replaced; what an edit does is in the files edit-*.ts.
 * What an edit does not touch stays the same object: undo costs nothing, and what the editor does
 * not understand is saved as it came. Pure, as everything in this folder but editor.ts.
 */
import { isObject, objectOf, readDocument } from '@comfymesh/protocol/convert/document'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'

export type Workflow = JsonObject

/** A number in most files; as text it is the same node in both link formats. */
export type EditorNodeId = string
export type LinkId = string

export interface Point {
  readonly x: number
  readonly y: number
}

export interface Link {
  readonly id: LinkId
  readonly originId: EditorNodeId
  readonly originSlot: number
  readonly targetId: EditorNodeId
  readonly targetSlot: number
  readonly type: string
}

/** Links as arrays, as ComfyUI's frontend saves them. */
const VERSION = 0.4

export function emptyWorkflow(): Workflow {
  return {
    last_node_id: 0,
    last_link_id: 0,
    nodes: [],
    links: [],
    groups: [],
    config: {},
    extra: {},
    version: VERSION,
  }
}

/**
 * The value as a workflow to edit.
 * @throws MeshError `invalid_prompt` for what is none, with the reason in words.
 */
export function openedWorkflow(value: JsonValue): Workflow {
  readDocument(value, () => {})
  return value as Workflow
}

export const listOf = (value: JsonValue | undefined): readonly JsonValue[] =>
  Array.isArray(value) ? value : []

export const nodesOf = ({ nodes }: Workflow): readonly JsonObject[] =>
  listOf(nodes).filter(isObject)

export const nodeIdOf = ({ id }: JsonObject): EditorNodeId => String(id)

export function nodeOf(workflow: Workflow, id: EditorNodeId): JsonObject | undefined {
  return nodesOf(workflow).findLast((node) => nodeIdOf(node) === id)
}

/** The workflow with some of its nodes changed; the same one if `change` changed none. */
export function withNodes(
  workflow: Workflow,
  ids: ReadonlySet<EditorNodeId>,
  change: (node: JsonObject) => JsonObject,
): Workflow {
  const nodes = listOf(workflow.nodes)
  const changed = nodes.map((node) =>
    isObject(node) && ids.has(nodeIdOf(node)) ? change(node) : node,
  )
  return changed.every((node, at) => node === nodes[at])
    ? workflow
    : { ...workflow, nodes: changed }
}

export const withNode = (
  workflow: Workflow,
  id: EditorNodeId,
  change: (node: JsonObject) => JsonObject,
): Workflow => withNodes(workflow, new Set([id]), change)

/** The object without the members that are undefined. */
export function without(object: JsonObject, ...names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)))
}

const readLinks = new WeakMap<object, readonly Link[]>()

/** The links of the drawing itself; those that cannot be read stay in the file alone. */
export function linksOf({ links }: Workflow): readonly Link[] {
  if (!Array.isArray(links)) return []
  const known = readLinks.get(links)
  if (known !== undefined) return known
  const read = links.flatMap((value) => readLink(value) ?? [])
  readLinks.set(links, read)
  return read
}

const LINK_MEMBERS = ['id', 'origin_id', 'origin_slot', 'target_id', 'target_slot', 'type'] as const

/** `[id, origin, slot, target, slot, type]`, or an object that says the same. */
function readLink(value: JsonValue): Link | undefined {
  const parts = Array.isArray(value) ? value : LINK_MEMBERS.map((name) => objectOf(value)[name])
  const [id, originId, originSlot, targetId, targetSlot, type] = parts
  if ([id, originId, targetId].some((one) => typeof one !== 'number' && typeof one !== 'string')) {
    return undefined
  }
  return {
    id: String(id),
    originId: String(originId),
    originSlot: Number(originSlot) || 0,
    targetId: String(targetId),
    targetSlot: Number(targetSlot) || 0,
    type: typeof type === 'string' ? type : '*',
  }
}

/** As the links that are there are written; ids are numbers where the nodes' ids are. */
export function writeLink(workflow: Workflow, link: Link): JsonValue {
  const rawId = (id: EditorNodeId) => nodeOf(workflow, id)?.id ?? id
  const parts: JsonValue[] = [
    Number(link.id),
    rawId(link.originId),
    link.originSlot,
    rawId(link.targetId),
    link.targetSlot,
    link.type,
  ]
  if (hasArrayLinks(workflow)) return parts
  return Object.fromEntries(LINK_MEMBERS.map((name, at) => [name, parts[at]!]))
}

/** Whether links are lists, as in most files, or objects. */
export function hasArrayLinks({ links, version }: Workflow): boolean {
  const [first] = listOf(links)
  return first === undefined ? version === VERSION : Array.isArray(first)
}

/** The ids that are free from here on: the same in the drawing and inside its subgraphs. */
export function nextIds(workflow: Workflow): { readonly node: number; readonly link: number } {
  const graphs = [workflow, ...subgraphsOf(workflow)]
  const { lastNodeId, lastLinkId } = objectOf(workflow.state)
  const nodeIds = graphs.flatMap((graph) => nodesOf(graph).map(({ id }) => id))
  const linkIds = graphs.flatMap((graph) => linksOf(graph).map(({ id }) => id))
  return {
    node: 1 + greatest([workflow.last_node_id, lastNodeId, ...nodeIds]),
    link: 1 + greatest([workflow.last_link_id, lastLinkId, ...linkIds]),
  }
}

function greatest(values: readonly (JsonValue | undefined)[]): number {
  const numbers = values.map(Number).filter(Number.isSafeInteger)
  return numbers.reduce((most, one) => Math.max(most, one), 0)
}

/** Keeps the counters of the file above what was given out. */
export function withLastIds(
  workflow: Workflow,
  { node, link }: { readonly node?: number; readonly link?: number },
): Workflow {
  const { state } = workflow
  if (!isObject(state)) {
    return raised(raised(workflow, 'last_node_id', node), 'last_link_id', link)
  }
  const counted = raised(raised(state, 'lastNodeId', node), 'lastLinkId', link)
  return counted === state ? workflow : { ...workflow, state: counted }
}

/** The holder with its counter at the given value or above; the same one without a value. */
function raised(holder: JsonObject, counter: string, value: number | undefined): JsonObject {
  if (value === undefined) return holder
  return { ...holder, [counter]: Math.max(Number(holder[counter]) || 0, value) }
}

/** Definitions stand at the document, and may stand inside one another. */
export function subgraphsOf(holder: JsonObject): JsonObject[] {
  return listOf(objectOf(holder.definitions).subgraphs)
    .filter(isObject)
    .flatMap((definition) => [definition, ...subgraphsOf(definition)])
}
