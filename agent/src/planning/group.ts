/**
 * A prompt cut into units: nodes that no plan may separate, because a value that cannot
 * travel runs between them. Loaders belong to no unit; each unit names those it needs.
 */
import type { NodeId, NodeLink } from '@comfymesh/protocol/workflow'
import { stronglyConnected } from './components.ts'
import { type Extent, extentsOf } from './extents.ts'
import { executionOrder, type Graph } from './graph.ts'
import { type Values, valueBytes, valuesOf } from './values.ts'

/** A value that a unit needs from outside. */
export interface UnitInput {
  /** Its `valueKey`; all units that need a value share one of these. */
  readonly key: string
  readonly nodeId: NodeId
  readonly slot: number
  readonly type: string
  readonly bytes: number
  /** The unit that makes it; undefined when it is made already. */
  readonly from: number | undefined
}

export interface Unit {
  readonly index: number
  /** In execution order, without loaders. */
  readonly nodes: readonly NodeId[]
  /** The loaders it needs, repeated wherever it runs; in execution order. */
  readonly loaders: readonly NodeId[]
  /** Each value once. */
  readonly inputs: readonly UnitInput[]
}

export interface Units {
  readonly graph: Graph
  /** Every node that the outputs need, also where its values exist, each after those it depends on. */
  readonly whole: readonly NodeId[]
  /** Those of them that are to run. */
  readonly order: readonly NodeId[]
  readonly values: Values
  readonly extents: ReadonlyMap<NodeId, Extent>
  /** Each after those it depends on; no two depend on each other. */
  readonly list: readonly Unit[]
}

/** Names one output of one node. */
export const valueKey = (nodeId: NodeId, slot: number) => `${nodeId} ${slot}`

/**
 * @param outputs the output nodes to run.
 * @param isMade whether a value exists already, so that what makes it need not run.
 */
export function unitsOf(
  graph: Graph,
  outputs: readonly NodeId[],
  isMade: (link: NodeLink) => boolean = () => false,
): Units {
  const whole = executionOrder(graph, outputs)
  const values = valuesOf(graph, whole)
  const extents = extentsOf(graph, whole)
  const needed = neededFor(outputs, values, isMade)
  const order = whole.filter((id) => needed.has(id))
  const rank = new Map(order.map((id, index) => [id, index]))
  const byRank = (a: NodeId, b: NodeId) => rank.get(a)! - rank.get(b)!
  const reaches = reachesOf(order, values, isMade)
  const groups = inseparable(order, values, reaches).map((nodes) => nodes.sort(byRank))
  const unitOf = new Map(groups.flatMap((nodes, index) => nodes.map((id) => [id, index])))
  const from = (link: NodeLink) => (isMade(link) ? undefined : unitOf.get(link[0]))
  const inputOf = inputsOf(values, extents, from)
  const list = groups.map((nodes, index) => {
    const loaders = new Set<NodeId>()
    const outside = new Set<UnitInput>()
    for (const id of nodes) {
      const reach = reaches.get(id)!
      for (const loader of reach.loaders) loaders.add(loader)
      for (const link of reach.links) {
        const input = inputOf(link)
        if (input.from !== index) outside.add(input)
      }
    }
    return { index, nodes, loaders: [...loaders].sort(byRank), inputs: [...outside] }
  })
  return { graph, whole, order, values, extents, list }
}

/** @param from the unit that makes a value; undefined when it is made already. */
function inputsOf(
  values: Values,
  extents: ReadonlyMap<NodeId, Extent>,
  from: (link: NodeLink) => number | undefined,
): (link: NodeLink) => UnitInput {
  const known = new Map<string, UnitInput>()
  return (link) => {
    const [nodeId, slot] = link
    const key = valueKey(nodeId, slot)
    let input = known.get(key)
    if (input === undefined) {
      const type = values.type(link)
      const bytes = values.travels(link) ? valueBytes(type, extents.get(nodeId)!) : 0
      input = { key, nodeId, slot, type, bytes, from: from(link) }
      known.set(key, input)
    }
    return input
  }
}

/** The nodes to run: what the outputs need and does not exist yet. */
function neededFor(
  outputs: readonly NodeId[],
  values: Values,
  isMade: (link: NodeLink) => boolean,
): Set<NodeId> {
  const needed = new Set(outputs)
  // A set that grows while it is walked is walked to its new end.
  for (const id of needed) {
    for (const link of values.links(id)) if (!isMade(link)) needed.add(link[0])
  }
  return needed
}

/** What a node needs, seen through the loaders that are repeated beside it. */
interface Reach {
  readonly loaders: ReadonlySet<NodeId>
  /** To values that other nodes make, its loaders' own inputs included. */
  readonly links: readonly NodeLink[]
}

function reachesOf(
  order: readonly NodeId[],
  values: Values,
  isMade: (link: NodeLink) => boolean,
): Map<NodeId, Reach> {
  const reaches = new Map<NodeId, Reach>()
  for (const id of order) {
    const loaders = new Set<NodeId>()
    const links: NodeLink[] = []
    for (const link of values.links(id)) {
      const [source] = link
      if (isMade(link) || !values.isLoader(source)) {
        links.push(link)
      } else if (!loaders.has(source)) {
        loaders.add(source)
        for (const loader of reaches.get(source)!.loaders) loaders.add(loader)
        links.push(...reaches.get(source)!.links)
      }
    }
    reaches.set(id, { loaders, links })
  }
  return reaches
}

/**
 * The nodes that are no loaders, in groups: joined by what cannot travel, and wherever two
 * groups would depend on each other. In an order in which each follows those it depends on.
 */
function inseparable(
  order: readonly NodeId[],
  values: Values,
  reaches: ReadonlyMap<NodeId, Reach>,
): NodeId[][] {
  const nodes = order.filter((id) => !values.isLoader(id))
  const isNode = new Set(nodes)
  const neighbours = new Map<NodeId, NodeId[]>(nodes.map((id) => [id, []]))
  for (const id of nodes) {
    for (const link of reaches.get(id)!.links) {
      const [source] = link
      if (!isNode.has(source)) continue
      neighbours.get(id)!.push(source)
      // Depending on each other is what makes two nodes one group.
      if (!values.travels(link)) neighbours.get(source)!.push(id)
    }
  }
  return stronglyConnected(nodes, (id) => neighbours.get(id)!)
}
