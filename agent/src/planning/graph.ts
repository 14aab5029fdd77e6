/** The graph that a validated prompt draws: which nodes an output needs, and in which order. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonValue } from '@comfymesh/protocol/json'
import {
  isLink,
  type NodeDefinition,
  type NodeDefinitions,
  type NodeId,
  type NodeLink,
  type Prompt,
} from '@comfymesh/protocol/workflow'

export interface Graph {
  readonly prompt: Prompt
  readonly definitions: NodeDefinitions
}

type DeclaredInputs = readonly (readonly [name: string, config: JsonValue[]])[]

/** Definitions never change: what they declare is read once, though every peer may bring its own. */
const declaredBy = new WeakMap<NodeDefinition, DeclaredInputs>()

/**
 * The inputs a class declares, required before optional, each with its `[type, settings]`;
 * settings that the class leaves out are empty, as in what ComfyUI says of them.
 */
export function declaredInputs(definition: NodeDefinition): DeclaredInputs {
  const known = declaredBy.get(definition)
  if (known !== undefined) return known
  const { required, optional } = definition.input
  const declared = Object.entries({ ...required, ...optional }) as unknown as [
    string,
    JsonValue[],
  ][]
  const made = declared.map(([name, [type, settings = {}]]): [string, JsonValue[]] => [
    name,
    [type!, settings],
  ])
  declaredBy.set(definition, made)
  return made
}

type Inputs = readonly (readonly [name: string, value: JsonValue])[]

/** What is asked for again and again while a prompt is planned, and never changes. */
function rememberedOf<T>(make: (graph: Graph, id: NodeId) => T) {
  const ofGraph = new WeakMap<Graph, Map<NodeId, T>>()
  return (graph: Graph, id: NodeId): T => {
    let known = ofGraph.get(graph)
    if (known === undefined) {
      known = new Map()
      ofGraph.set(graph, known)
    }
    let found = known.get(id)
    if (found === undefined) {
      found = make(graph, id)
      known.set(id, found)
    }
    return found
  }
}

/** A node's inputs as its class declares them; what else stands in the prompt is ignored. */
export const usedInputs = rememberedOf(declaredOf)

/** What a node's inputs are linked to, in the order of its inputs, repeats included. */
export const linksOf = rememberedOf((graph, id): readonly NodeLink[] =>
  usedInputs(graph, id).flatMap(([, value]) => (isLink(value) ? [value] : [])),
)

function declaredOf({ prompt, definitions }: Graph, id: NodeId): Inputs {
  const { class_type, inputs } = prompt[id]!
  const { required, optional } = definitions[class_type]!.input
  const isDeclared = (name: string) =>
    (required !== undefined && Object.hasOwn(required, name)) ||
    (optional !== undefined && Object.hasOwn(optional, name))
  return Object.entries(inputs).filter(([name]) => isDeclared(name))
}

/** The nodes that a node's inputs are linked to, each once, in the order of its inputs. */
export const sourcesOf = rememberedOf((graph, id): readonly NodeId[] => [
  ...new Set(linksOf(graph, id).map(([source]) => source)),
])

/**
 * The nodes to run for these outputs, and nothing else, in ComfyUI's order: of the
 * nodes whose inputs are ready an output goes first, then what an output waits for
 * directly, then what such a node waits for, then whatever was found first.
 * @throws MeshError `no_peer` for a node whose class nobody offers.
 */
export function executionOrder(graph: Graph, outputs: readonly NodeId[]): NodeId[] {
  const found = discover(graph, outputs)
  const consumers = consumersOf(graph, new Set(found))
  const ranks = ranksOf(graph, found, consumers)
  const waitingFor = new Map(found.map((id) => [id, sourcesOf(graph, id).length]))
  /** The next one last, because taking from the end moves nothing. */
  const ready = found
    .filter((id) => waitingFor.get(id) === 0)
    .sort((a, b) => ranks.get(b)! - ranks.get(a)!)
  const order: NodeId[] = []
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    order.push(next)
    for (const consumer of consumers.get(next)!) {
      const left = waitingFor.get(consumer)! - 1
      waitingFor.set(consumer, left)
      if (left === 0) ready.splice(placeOf(consumer, ready, ranks), 0, consumer)
    }
  }
  return order
}

/** Which of two ready nodes goes first does not depend on what else is ready: the lower rank. */
function ranksOf(
  graph: Graph,
  found: readonly NodeId[],
  consumers: ReadonlyMap<NodeId, readonly NodeId[]>,
): Map<NodeId, number> {
  const isOutput = (id: NodeId) =>
    graph.definitions[graph.prompt[id]!.class_type]!.output_node === true
  const isConsumedBy = (some: ReadonlySet<NodeId>) => (id: NodeId) =>
    consumers.get(id)!.some((consumer) => some.has(consumer))
  const first = new Set(found.filter(isOutput))
  const second = new Set(found.filter(isConsumedBy(first)))
  const third = new Set(found.filter(isConsumedBy(second)))
  const inOrder = new Set([first, second, third].flatMap((group) => [...group]).concat(found))
  return new Map([...inOrder].map((id, rank) => [id, rank]))
}

/** The index at which a node belongs in a list whose ranks go down. */
function placeOf(
  node: NodeId,
  list: readonly NodeId[],
  ranks: ReadonlyMap<NodeId, number>,
): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (ranks.get(list[middle]!)! > ranks.get(node)!) low = middle + 1
    else high = middle
  }
  return low
}

/** Nodes in the order in which ComfyUI's search from the outputs meets them: last input first. */
function discover(graph: Graph, outputs: readonly NodeId[]): NodeId[] {
  const found = new Set<NodeId>()
  for (const output of outputs) {
    const stack = [output]
    for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
      if (found.has(id)) continue
      found.add(id)
      needClass(graph, id)
      for (const [source] of linksOf(graph, id)) stack.push(source)
    }
  }
  return [...found]
}

/** A job may outlive a class: it waits over a restart, and a node pack is gone then. */
function needClass({ prompt, definitions }: Graph, nodeId: NodeId): void {
  const classType = prompt[nodeId]!.class_type
  if (Object.hasOwn(definitions, classType)) return
  const message = `Node ${nodeId} is of the class ${classType}, which no peer offers any more. Bring it back, or use another node, and run the prompt again.`
  throw new MeshError('no_peer', message, { details: { nodeId, classType } })
}

function consumersOf(graph: Graph, nodes: ReadonlySet<NodeId>): Map<NodeId, NodeId[]> {
  const consumers = new Map<NodeId, NodeId[]>([...nodes].map((id) => [id, []]))
  for (const id of nodes) {
    for (const source of sourcesOf(graph, id)) consumers.get(source)!.push(id)
  }
  return consumers
}
