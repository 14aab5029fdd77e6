/**
 * Copies of nodes. A copy is a small workflow, with the links between its nodes and the
 * subgraphs that they are instances of: what is copied here can be pasted into any editor, or be
 * saved as a file.
 */
import { isObject, objectOf } from '@comfymesh/protocol/convert/document'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import {
  type EditorNodeId,
  emptyWorkflow,
  linksOf,
  listOf,
  nextIds,
  nodeIdOf,
  nodesOf,
  type Point,
  subgraphsOf,
  type Workflow,
  withLastIds,
  writeLink,
} from './document.ts'
import { pairOf } from './node-view.ts'

/** The nodes, and the links that lie between them. */
export function copyNodes(workflow: Workflow, ids: ReadonlySet<EditorNodeId>): Workflow {
  const copied = nodesOf(workflow).filter((node) => ids.has(nodeIdOf(node)))
  const links = linksOf(workflow).filter(
    ({ originId, targetId }) => ids.has(originId) && ids.has(targetId),
  )
  const kept = new Set(links.map(({ id }) => id))
  const copy: Workflow = {
    ...emptyWorkflow(),
    nodes: copied.map((node) => withLinks(node, (id) => (kept.has(String(id)) ? id : undefined))),
  }
  const definitions = definitionsFor(workflow, copied)
  return withLastIds(
    {
      ...copy,
      links: links.map((link) => writeLink(copy, link)),
      ...(definitions.length > 0 && { definitions: { subgraphs: definitions } }),
    },
    { node: nextIds(workflow).node - 1, link: nextIds(workflow).link - 1 },
  )
}

/** The node with other ids of its links; those that are undefined are unlinked. */
function withLinks(node: JsonObject, idOf: (id: JsonValue) => JsonValue | undefined): JsonObject {
  const inputs = listOf(node.inputs).map((slot) =>
    isObject(slot) && slot.link !== undefined && slot.link !== null
      ? { ...slot, link: idOf(slot.link) ?? null }
      : slot,
  )
  const outputs = listOf(node.outputs).map((slot) =>
    isObject(slot) && Array.isArray(slot.links)
      ? { ...slot, links: slot.links.flatMap((id) => idOf(id) ?? []) }
      : slot,
  )
  return {
    ...node,
    ...(Array.isArray(node.inputs) && { inputs }),
    ...(Array.isArray(node.outputs) && { outputs }),
  }
}

/** The subgraphs of the nodes, and those inside of these. */
function definitionsFor(workflow: Workflow, nodes: readonly JsonObject[]): JsonObject[] {
  const all = subgraphsOf(workflow)
  const wanted = new Set<JsonObject>()
  const waiting = [...nodes]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    const definition = all.find(({ id }) => id === node!.type)
    if (definition === undefined || wanted.has(definition)) continue
    wanted.add(definition)
    waiting.push(...nodesOf(definition))
  }
  return all.filter((definition) => wanted.has(definition))
}

export interface Pasted {
  readonly workflow: Workflow
  readonly ids: ReadonlySet<EditorNodeId>
  /** Why nothing was pasted, in words. */
  readonly refusal?: string
}

/**
 * Puts the nodes of one workflow into another, as they stand to each other. A subgraph does not come
 * into itself: nothing is pasted then, and `refusal` says so.
 * @param at where the upper left corner comes; without it a little beside where they were.
 */
export function pasteNodes(workflow: Workflow, copy: Workflow, at?: Point): Pasted {
  const next = nextIds(workflow)
  const copied = nodesOf(copy)
  const nodeIds = new Map(copied.map((node, index) => [nodeIdOf(node), next.node + index]))
  const links = linksOf(copy).filter(
    ({ originId, targetId }) => nodeIds.has(originId) && nodeIds.has(targetId),
  )
  const linkIds = new Map(links.map(({ id }, index) => [id, next.link + index]))
  const offset = offsetOf(copied, at)
  const order = listOf(workflow.nodes).length
  const added = copied.map((node, index) => {
    const [x, y] = pairOf(node.pos)
    const linked = withLinks(node, (id) => linkIds.get(String(id)))
    const id = nodeIds.get(nodeIdOf(node))!
    return { ...linked, id, order: order + index, pos: [x + offset.x, y + offset.y] }
  })
  const merged = withDefinitions(
    { ...workflow, nodes: [...listOf(workflow.nodes), ...added] },
    subgraphsOf(copy),
  )
  const circular = definitionsFor(merged, added).find(({ id }) => id === workflow.id)
  if (circular !== undefined) return { workflow, ids: new Set(), refusal: refusalOf(circular) }
  const written = links.map((link) =>
    writeLink(merged, {
      ...link,
      id: String(linkIds.get(link.id)),
      originId: String(nodeIds.get(link.originId)),
      targetId: String(nodeIds.get(link.targetId)),
    }),
  )
  if (added.length === 0) return { workflow, ids: new Set() }
  const last = { node: next.node + added.length - 1, link: next.link + links.length - 1 }
  return {
    workflow: withLastIds({ ...merged, links: [...listOf(merged.links), ...written] }, last),
    ids: new Set([...nodeIds.values()].map(String)),
  }
}

const refusalOf = ({ name }: JsonObject): string =>
  `These nodes contain ${typeof name === 'string' ? `“${name}”` : 'the subgraph'}, which you are ` +
  'inside of, and a subgraph cannot contain itself. Paste them outside of it.'

const BESIDE = 40

function offsetOf(nodes: readonly JsonObject[], at: Point | undefined): Point {
  if (at === undefined) return { x: BESIDE, y: BESIDE }
  const corners = nodes.map((node) => pairOf(node.pos))
  return {
    x: Math.round(at.x - Math.min(...corners.map(([x]) => x))),
    y: Math.round(at.y - Math.min(...corners.map(([, y]) => y))),
  }
}

function withDefinitions(workflow: Workflow, definitions: readonly JsonObject[]): Workflow {
  const known = new Set(subgraphsOf(workflow).map(({ id }) => id))
  const missing = definitions.filter(({ id }) => !known.has(id))
  if (missing.length === 0) return workflow
  const before = objectOf(workflow.definitions)
  const subgraphs = [...listOf(before.subgraphs), ...missing]
  return { ...workflow, definitions: { ...before, subgraphs } }
}
