/**
 * A workflow document, as ComfyUI's frontend saves it, read once: version 0.4 (links as
 * arrays) and version 1 (links as objects), with its subgraph definitions.
 */
import { MeshError } from '../errors.ts'
import type { JsonObject, JsonValue } from '../json.ts'

/** A number in most files; as text it is the same node in both link formats. */
export type WorkflowNodeId = string
type LinkId = string

export interface WorkflowSlot {
  readonly name: string
  readonly type: string
  readonly linkId?: LinkId
  /** Whether the slot stands for a widget, which the frontend drops when the widget is gone. */
  readonly isWidget: boolean
}

export interface WorkflowNode {
  readonly id: WorkflowNodeId
  /** A node class, the id of a subgraph, or a class of the frontend's own. */
  readonly type: string
  readonly mode: number
  readonly title?: string
  readonly inputs: readonly WorkflowSlot[]
  readonly outputTypes: readonly string[]
  /** By position, or by name where a node's own script saved them so. */
  readonly widgetValues: readonly JsonValue[] | JsonObject
  readonly properties: JsonObject
}

export interface WorkflowLink {
  readonly id: LinkId
  readonly originId: WorkflowNodeId
  readonly originSlot: number
  readonly targetId: WorkflowNodeId
  readonly targetSlot: number
}

export interface WorkflowGraph {
  readonly name: string
  readonly nodes: ReadonlyMap<WorkflowNodeId, WorkflowNode>
  readonly links: ReadonlyMap<LinkId, WorkflowLink>
  /** The links that begin at each node. */
  readonly linksFrom: ReadonlyMap<WorkflowNodeId, readonly WorkflowLink[]>
}

/** A graph with sockets of its own: links come from `inputNodeId` and go to `outputNodeId`. */
export interface Subgraph extends WorkflowGraph {
  readonly inputNodeId: WorkflowNodeId
  readonly outputNodeId: WorkflowNodeId
  readonly inputs: readonly { readonly name: string; readonly type: string }[]
  readonly outputTypes: readonly string[]
  /** The links that begin at each input; by its slot. */
  readonly inputLinks: ReadonlyMap<number, readonly WorkflowLink[]>
  /** The link that ends at each output; by its slot. */
  readonly outputLinks: ReadonlyMap<number, WorkflowLink>
}

export interface WorkflowDocument {
  readonly root: WorkflowGraph
  readonly subgraphs: ReadonlyMap<string, Subgraph>
  /** The highest node id the file says it ever gave. */
  readonly lastNodeId: number
  /** Which frontend wrote the file. */
  readonly frontendVersion?: string
}

/**
 * @param warn is told what is odd, and left out, but harms nothing else.
 * @throws MeshError `invalid_prompt` for what is no workflow.
 */
export function readDocument(
  workflow: JsonValue,
  warn: (message: string) => void,
): WorkflowDocument {
  if (!isObject(workflow)) throw notAWorkflow('it is no JSON object')
  if (!Array.isArray(workflow.nodes)) throw notAWorkflow('it has no list of nodes')
  const root = readGraph(workflow, 'the workflow', warn)
  const subgraphs = new Map<string, Subgraph>()
  readSubgraphs(workflow, subgraphs, warn)
  const { lastNodeId } = objectOf(workflow.state)
  const { frontendVersion } = objectOf(workflow.extra)
  return {
    root,
    subgraphs,
    lastNodeId: numberOf(lastNodeId ?? workflow.last_node_id) ?? 0,
    ...(typeof frontendVersion === 'string' && { frontendVersion }),
  }
}

/** Definitions stand at the document, and may stand inside one another. */
function readSubgraphs(
  holder: JsonObject,
  found: Map<string, Subgraph>,
  warn: (message: string) => void,
): void {
  const waiting = [holder]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const definition of listOf(objectOf(next.definitions).subgraphs)) {
      if (!isObject(definition) || typeof definition.id !== 'string') {
        warn('A subgraph definition without an id was left out.')
        continue
      }
      found.set(definition.id, readSubgraph(definition, warn))
      waiting.push(definition)
    }
  }
}

const INPUT_NODE_ID = '-10'
const OUTPUT_NODE_ID = '-20'

function readSubgraph(definition: JsonObject, warn: (message: string) => void): Subgraph {
  const name = textOf(definition.name) ?? String(definition.id)
  const sockets = (list: JsonValue | undefined) =>
    listOf(list)
      .slice(0, MOST_SOCKETS)
      .map((socket) => {
        const { name, type } = objectOf(socket)
        return { name: textOf(name) ?? '', type: typeOf(type) }
      })
  const graph = readGraph(definition, `subgraph "${name}"`, warn)
  const inputNodeId = idOf(objectOf(definition.inputNode).id) ?? INPUT_NODE_ID
  const inputLinks = grouped(graph.linksFrom.get(inputNodeId) ?? [], (link) => link.originSlot)
  const outputNodeId = idOf(objectOf(definition.outputNode).id) ?? OUTPUT_NODE_ID
  const outputLinks = [...graph.links.values()].filter(({ targetId }) => targetId === outputNodeId)
  return {
    ...graph,
    inputNodeId,
    outputNodeId,
    inputs: sockets(definition.inputs),
    outputTypes: sockets(definition.outputs).map(({ type }) => type),
    inputLinks,
    outputLinks: new Map(outputLinks.reverse().map((link) => [link.targetSlot, link])),
  }
}

function readGraph(
  graph: JsonObject,
  name: string,
  warn: (message: string) => void,
): WorkflowGraph {
  const nodes = new Map<WorkflowNodeId, WorkflowNode>()
  for (const [index, value] of listOf(graph.nodes).entries()) {
    const node = readNode(value, `node ${index} of ${name}`)
    if (nodes.has(node.id)) warn(`${name}: two nodes have the id ${node.id}; the later one counts.`)
    nodes.set(node.id, node)
  }
  const links = new Map<LinkId, WorkflowLink>()
  for (const value of listOf(graph.links)) {
    const link = readLink(value)
    if (link === undefined) warn(`${name}: a link that cannot be read was left out.`)
    else links.set(link.id, link)
  }
  const linksFrom = grouped([...links.values()], ({ originId }) => originId)
  return { name, nodes, links, linksFrom }
}

function grouped<Key>(
  links: readonly WorkflowLink[],
  keyOf: (link: WorkflowLink) => Key,
): Map<Key, WorkflowLink[]> {
  const groups = new Map<Key, WorkflowLink[]>()
  for (const link of links) {
    const key = keyOf(link)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [link])
    else group.push(link)
  }
  return groups
}

/** Sockets of one node; a stranger's file may claim millions, and each is looked for among all. */
const MOST_SOCKETS = 2000

/** @throws MeshError `invalid_prompt` for what is no node; `where` says which. */
export function readNode(value: JsonValue, where: string): WorkflowNode {
  if (!isObject(value)) throw notAWorkflow(`${where} is no object`)
  const id = idOf(value.id)
  if (id === undefined) throw notAWorkflow(`${where} has no id`)
  if (typeof value.type !== 'string') throw notAWorkflow(`${where} (id ${id}) has no type`)
  const title = textOf(value.title)
  const values = value.widgets_values
  return {
    id,
    type: value.type,
    mode: numberOf(value.mode) ?? 0,
    ...(title && { title }),
    inputs: listOf(value.inputs).slice(0, MOST_SOCKETS).map(readSlot),
    outputTypes: listOf(value.outputs)
      .slice(0, MOST_SOCKETS)
      .map((output) => typeOf(objectOf(output).type)),
    widgetValues: isObject(values) ? values : listOf(values),
    properties: objectOf(value.properties),
  }
}

function readSlot(value: JsonValue): WorkflowSlot {
  const { name, type, link, widget } = objectOf(value)
  const linkId = idOf(link)
  return {
    name: textOf(name) ?? '',
    type: typeOf(type),
    ...(linkId !== undefined && { linkId }),
    isWidget: isObject(widget),
  }
}

/** `[id, origin, slot, target, slot, type]`, or an object that says the same. */
function readLink(value: JsonValue): WorkflowLink | undefined {
  const [id, origin, originSlot, target, targetSlot] = Array.isArray(value)
    ? value
    : ['id', 'origin_id', 'origin_slot', 'target_id', 'target_slot'].map(
        (key) => objectOf(value)[key],
      )
  const ids = [id, origin, target].map(idOf)
  const [linkId, originId, targetId] = ids
  if (linkId === undefined || originId === undefined || targetId === undefined) return undefined
  return {
    id: linkId,
    originId,
    originSlot: slotOf(originSlot),
    targetId,
    targetSlot: slotOf(targetSlot),
  }
}

function notAWorkflow(why: string): MeshError {
  return new MeshError(
    'invalid_prompt',
    `This is not a workflow as ComfyUI saves it: ${why}. Save it again in ComfyUI, or send a prompt (Export (API)).`,
  )
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export const objectOf = (value: JsonValue | undefined): JsonObject => (isObject(value) ? value : {})

const listOf = (value: JsonValue | undefined): readonly JsonValue[] =>
  Array.isArray(value) ? value : []

const textOf = (value: JsonValue | undefined) => (typeof value === 'string' ? value : undefined)

const numberOf = (value: JsonValue | undefined) =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined

const idOf = (value: JsonValue | undefined) =>
  typeof value === 'number' || typeof value === 'string' ? String(value) : undefined

/** The frontend writes a slot as a number; scripts sometimes as its digits. */
const slotOf = (value: JsonValue | undefined) => Math.max(0, Math.trunc(Number(value)) || 0)

/** A list is a choice; no type is any type. */
const typeOf = (value: JsonValue | undefined) =>
  typeof value === 'string' ? value : Array.isArray(value) ? 'COMBO' : '*'
