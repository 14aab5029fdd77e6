/**
 * The graph that is open: the drawing, or the inside of one of its subgraphs. An inside is read as a
 * workflow of its own, so that every edit works there as it does outside: its sockets are two nodes
 * more, and ids are given out for the whole document. What was edited is put back into the document.
 */
import { isObject, objectOf, readDocument } from '@comfymesh/protocol/convert/document'
import { promptIds } from '@comfymesh/protocol/convert/prompt-ids'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import {
  type EditorNodeId,
  linksOf,
  listOf,
  nextIds,
  nodeOf,
  subgraphsOf,
  type Workflow,
  withLastIds,
} from './document.ts'
import { TITLE_HEIGHT } from './new-node.ts'
import { pairOf, SOCKETS } from './node-view.ts'

/** Instances of subgraphs, each inside of the one before; none for the drawing itself. */
export type Path = readonly EditorNodeId[]

/** The definitions that a path leads through, as far as it leads anywhere. */
export function opened(document: Workflow, path: Path): JsonObject[] {
  const definitions: JsonObject[] = []
  const all = subgraphsOf(document)
  for (const id of path) {
    const node = nodeOf(definitions.at(-1) ?? document, id)
    const definition = node && all.find((one) => one.id === node.type)
    if (definition === undefined) break
    definitions.push(definition)
  }
  return definitions
}

/** As much of the path as leads anywhere. */
export function reached(document: Workflow, path: Path): Path {
  const { length } = opened(document, path)
  return length === path.length ? path : path.slice(0, length)
}

const insides = new WeakMap<Workflow, Map<JsonObject, Workflow>>()

/** The same one for the same document and path. */
export function graphAt(document: Workflow, path: Path): Workflow {
  const definition = opened(document, path).at(-1)
  if (definition === undefined) return document
  const known = insides.get(document) ?? new Map<JsonObject, Workflow>()
  insides.set(document, known)
  const inside = known.get(definition) ?? insideOf(document, definition)
  known.set(definition, inside)
  return inside
}

/** The document with the open graph changed; the same one if `change` changed nothing. */
export function withGraphAt(
  document: Workflow,
  path: Path,
  change: (graph: Workflow) => Workflow,
): Workflow {
  const definition = opened(document, path).at(-1)
  if (definition === undefined) return change(document)
  const before = graphAt(document, path)
  const after = change(before)
  return after === before ? document : putBack(document, definition, before, after)
}

/** Every graph of the document changed: the drawing and the insides of its subgraphs. */
export function withEveryGraph(
  document: Workflow,
  change: (graph: Workflow) => Workflow,
): Workflow {
  return subgraphsOf(document).reduce((changed, { id }) => {
    const definition = subgraphsOf(changed).find((one) => one.id === id)!
    const before = insideOf(changed, definition)
    const after = change(before)
    return after === before ? changed : putBack(changed, definition, before, after)
  }, change(document))
}

/** How many instances of a definition there are: an edit inside changes them all. */
export function instanceCount(document: Workflow, { id }: JsonObject): number {
  return [document, ...subgraphsOf(document)]
    .flatMap((graph) => listOf(graph.nodes))
    .filter((node) => objectOf(node).type === id).length
}

/** The names of a definition's lists, of the node that stands for each, and how it is shown. */
const SIDES = [
  { sockets: 'inputs', node: 'inputNode', id: -10, type: SOCKETS.inputs, title: 'Inputs' },
  { sockets: 'outputs', node: 'outputNode', id: -20, type: SOCKETS.outputs, title: 'Outputs' },
] as const

type Side = (typeof SIDES)[number]

function insideOf(document: Workflow, definition: JsonObject): Workflow {
  const next = nextIds(document)
  return {
    ...definition,
    nodes: [...listOf(definition.nodes), ...SIDES.map((side) => socketNode(definition, side))],
    // Nested ones are found from here on, too.
    ...(document.definitions !== undefined && { definitions: document.definitions }),
    state: {
      ...objectOf(definition.state),
      lastNodeId: next.node - 1,
      lastLinkId: next.link - 1,
    },
  }
}

/** The sockets of a subgraph, seen from inside, as a node: inputs give, outputs take. */
function socketNode(definition: JsonObject, { sockets, node, id, type, title }: Side): JsonObject {
  const place = objectOf(definition[node])
  const [x = 0, y = 0, width = 0, height = 0] = listOf(place.bounding).map(Number)
  const nodeId = place.id ?? id
  const links = linksOf(definition)
  const slots = listOf(definition[sockets]).map((socket, slot): JsonObject => {
    const { name, label, type } = objectOf(socket)
    const named: JsonObject = {
      name: String(label ?? name ?? ''),
      type: typeof type === 'string' ? type : '*',
    }
    if (sockets === 'inputs') {
      const own = links.filter((one) => one.originId === String(nodeId) && one.originSlot === slot)
      return { ...named, links: own.map((link) => Number(link.id)) }
    }
    const own = links.findLast((one) => one.targetId === String(nodeId) && one.targetSlot === slot)
    return { ...named, link: own === undefined ? null : Number(own.id) }
  })
  return {
    id: nodeId,
    type,
    title,
    pos: [x, y + TITLE_HEIGHT],
    size: [width, Math.max(0, height - TITLE_HEIGHT)],
    mode: 0,
    inputs: sockets === 'inputs' ? [] : slots,
    outputs: sockets === 'inputs' ? slots : [],
  }
}

function putBack(
  document: Workflow,
  definition: JsonObject,
  before: Workflow,
  after: Workflow,
): Workflow {
  const { definitions: _, state: __, ...edited } = after
  const counted = changedState(before, after)
  const isSocketNode = (node: JsonValue) => SIDES.some(({ type }) => objectOf(node).type === type)
  const kept: JsonObject = {
    ...edited,
    ...socketsOf(definition, SIDES[0], before, after),
    ...socketsOf(definition, SIDES[1], before, after),
    nodes: listOf(after.nodes).filter((node) => !isSocketNode(node)),
    ...(definition.definitions !== undefined && { definitions: definition.definitions }),
    ...(isObject(definition.state) && { state: { ...definition.state, ...counted } }),
  }
  const put = replaced({ ...document, definitions: after.definitions! }, definition, kept)
  return withLastIds(put, {
    ...(counted.lastNodeId !== undefined && { node: Number(counted.lastNodeId) }),
    ...(counted.lastLinkId !== undefined && { link: Number(counted.lastLinkId) }),
  })
}

/** The counters that have changed: the others stay as the file has them, not as they were read. */
function changedState(before: Workflow, after: Workflow): JsonObject {
  const old = objectOf(before.state)
  return Object.fromEntries(
    Object.entries(objectOf(after.state)).filter(([name, value]) => value !== old[name]),
  )
}

/** What the definition says of one side, as its node has become. */
function socketsOf(
  definition: JsonObject,
  { sockets, node: name, id, type }: Side,
  before: Workflow,
  after: Workflow,
): JsonObject {
  const nodeIn = ({ nodes }: Workflow) => listOf(nodes).find((node) => objectOf(node).type === type)
  const [old, now] = [nodeIn(before), nodeIn(after)]
  if (old === now) return {}
  // One that is taken away is there again, with nothing linked: the links went with it.
  const { pos = objectOf(old).pos, inputs, outputs } = objectOf(now)
  const slots = listOf(sockets === 'inputs' ? outputs : inputs).map(objectOf)
  const list = listOf(definition[sockets]).map((socket, slot): JsonValue => {
    const { links, link } = slots[slot] ?? {}
    const linkIds = sockets === 'inputs' ? [...listOf(links)] : link == null ? [] : [link]
    const known = listOf(objectOf(socket).linkIds)
    return known.join() === linkIds.join() ? socket : { ...objectOf(socket), linkIds }
  })
  const place = objectOf(definition[name])
  const [, , width = 0, height = 0] = listOf(place.bounding)
  const [x, y] = pairOf(pos)
  const isMoved = pos !== objectOf(old).pos
  const bounding = [x, y - TITLE_HEIGHT, width, height]
  return {
    ...(definition[sockets] !== undefined && { [sockets]: list }),
    ...(isMoved && { [name]: { id, ...place, bounding } }),
  }
}

/** The holder with one definition replaced, wherever it stands. */
function replaced(holder: Workflow, definition: JsonObject, now: JsonObject): Workflow {
  const subgraphs = listOf(objectOf(holder.definitions).subgraphs)
  const changed = subgraphs.map((one) => {
    if (!isObject(one)) return one
    return one.id === definition.id ? now : replaced(one, definition, now)
  })
  if (changed.every((one, at) => one === subgraphs[at])) return holder
  return { ...holder, definitions: { ...objectOf(holder.definitions), subgraphs: changed } }
}

/** `Sampler › Decode`: what the way to the open graph leads through, the outermost first. */
export function pathTitles(document: Workflow, path: Path): string[] {
  return opened(document, path).map((definition, depth) => {
    const graph = depth === 0 ? document : opened(document, path)[depth - 1]!
    const { title } = objectOf(nodeOf(graph, path[depth]!))
    if (typeof title === 'string' && title !== '') return title
    return typeof definition.name === 'string' ? definition.name : 'Subgraph'
  })
}

/** Where the node of a prompt is drawn: prompts name inner nodes by the way to them, `10:50`. */
export function placeOf(
  document: Workflow,
  promptId: string,
): { readonly path: Path; readonly id: EditorNodeId } {
  const [first = '', ...inner] = promptId.split(':')
  const path: EditorNodeId[] = []
  let id = first
  for (const promptPart of inner) {
    path.push(id)
    const definition = opened(document, path).at(-1)
    id = fileIds(document).get(`${definition?.id} ${promptPart}`) ?? promptPart
  }
  return { path, id }
}

/** For the nodes of a prompt: as which node of the open graph each is seen, if it is. */
export function drawnIn(
  document: Workflow,
  path: Path,
): (promptId: string) => EditorNodeId | undefined {
  return (promptId) => {
    const place = placeOf(document, promptId)
    if (!path.every((id, depth) => place.path[depth] === id)) return undefined
    return place.path[path.length] ?? place.id
  }
}

const knownFileIds = new WeakMap<Workflow, ReadonlyMap<string, EditorNodeId>>()

/** By definition and the id in a prompt, the id in the file: a prompt has other ones where two are alike. */
function fileIds(document: Workflow): ReadonlyMap<string, EditorNodeId> {
  const known = knownFileIds.get(document)
  if (known !== undefined) return known
  const read = readDocument(document, () => {})
  const idOf = promptIds(read)
  const ids = new Map(
    [...read.subgraphs].flatMap(([definitionId, { nodes }]) =>
      [...nodes.keys()].map((id) => [`${definitionId} ${idOf(definitionId, id)}`, id] as const),
    ),
  )
  knownFileIds.set(document, ids)
  return ids
}
