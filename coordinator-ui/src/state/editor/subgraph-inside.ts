/**
 * The inside of a subgraph, read as a workflow of its own and put back into the document. Its sockets
 * are two nodes more, and ids are given out for the whole document.
 */
import { isObject, objectOf } from '@comfymesh/protocol/convert/document'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import { linksOf, listOf, nextIds, type Workflow, withLastIds } from './document.ts'
import { TITLE_HEIGHT } from './new-node.ts'
import { pairOf, SOCKETS } from './node-view.ts'

/** The names of a definition's lists, of the node that stands for each, and how it is shown. */
const SIDES = [
  { sockets: 'inputs', node: 'inputNode', id: -10, type: SOCKETS.inputs, title: 'Inputs' },
  { sockets: 'outputs', node: 'outputNode', id: -20, type: SOCKETS.outputs, title: 'Outputs' },
] as const

type Side = (typeof SIDES)[number]

/** The inside of a definition as a workflow: its sockets are two nodes more. */
export function insideOf(document: Workflow, definition: JsonObject): Workflow {
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

/** The document with an inside put back that was `before`; what was not edited stays as the file has it. */
export function putBack(
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
