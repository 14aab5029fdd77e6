/**
 * The drawing with every subgraph instance opened: each instance has nodes of its own, so
 * that one definition can run twice with different values.
 */
import { MeshError } from '../errors.ts'
import type { NodeDefinitions } from '../workflow.ts'
import type { Subgraph, WorkflowDocument, WorkflowGraph, WorkflowNode } from './document.ts'
import { layoutNode, type NodeLayout, plainLayout, unknownLayout } from './node-layout.ts'
import { promptIds } from './prompt-ids.ts'

/** Node modes of the frontend that change a prompt. */
export const MUTED = 2
export const BYPASSED = 4

export interface GraphInstance {
  readonly graph: WorkflowGraph
  readonly nodes: Map<string, NodeInstance>
  /** The node that this graph is the inside of; the drawing itself has none. */
  host?: SubgraphNode
}

interface InstanceBase {
  /** As in the prompt: `7`, or `10:50` for node 50 inside of node 10. */
  readonly id: string
  readonly node: WorkflowNode
  readonly within: GraphInstance
  readonly layout: NodeLayout
}

/** A node that a server runs; without a class name when nobody knows its class. */
export interface ExecutedNode extends InstanceBase {
  readonly kind: 'executed'
  readonly className?: string
  readonly title?: string
}

/** A node that exists in the frontend alone: reroutes, primitives, notes. */
export interface VirtualNode extends InstanceBase {
  readonly kind: 'virtual'
}

export interface SubgraphNode extends InstanceBase {
  readonly kind: 'subgraph'
  readonly subgraph: Subgraph
  readonly inner: GraphInstance
}

export type NodeInstance = ExecutedNode | VirtualNode | SubgraphNode

const VIRTUAL_TYPES: ReadonlySet<string> = new Set([
  'Reroute',
  'PrimitiveNode',
  'Note',
  'MarkdownNote',
])

/** Subgraphs within subgraphs grow by powers, so a small file could ask for more than fits. */
const MOST_NODES = 20_000
const DEEPEST = 50

/** @throws MeshError `invalid_prompt` for subgraphs that contain themselves, or too much. */
export function expandWorkflow(
  document: WorkflowDocument,
  definitions: NodeDefinitions,
): GraphInstance {
  const idOf = promptIds(document)
  let count = 0

  function fill(graph: GraphInstance, path: readonly string[]): void {
    const { host } = graph
    for (const node of graph.graph.nodes.values()) {
      if (++count > MOST_NODES) throw tooMuch(`more than ${MOST_NODES} nodes`)
      const id = host === undefined ? node.id : `${host.id}:${idOf(host.node.type, node.id)}`
      graph.nodes.set(node.id, instanceOf(node, id, graph, path))
    }
  }

  function instanceOf(
    node: WorkflowNode,
    id: string,
    within: GraphInstance,
    path: readonly string[],
  ): NodeInstance {
    const base = { id, node, within }
    const subgraph = document.subgraphs.get(node.type)
    if (subgraph !== undefined) {
      if (path.includes(node.type)) throw containsItself(subgraph)
      if (path.length >= DEEPEST) throw tooMuch(`subgraphs more than ${DEEPEST} deep`)
      const inner: GraphInstance = { graph: subgraph, nodes: new Map() }
      const layout = subgraphLayout(node, subgraph)
      const host: SubgraphNode = { ...base, kind: 'subgraph', subgraph, layout, inner }
      inner.host = host
      fill(inner, [...path, node.type])
      return host
    }
    if (VIRTUAL_TYPES.has(node.type)) return { ...base, kind: 'virtual', layout: plainLayout(node) }
    const definition = Object.hasOwn(definitions, node.type) ? definitions[node.type] : undefined
    const title = node.title ?? definition?.display_name ?? definition?.name
    return {
      ...base,
      kind: 'executed',
      layout: definition ? layoutNode(node, definition) : unknownLayout(node),
      ...(definition && { className: node.type }),
      ...(title !== undefined && { title }),
    }
  }

  const root: GraphInstance = { graph: document.root, nodes: new Map() }
  fill(root, [])
  return root
}

/** The sockets of the definition, wired as the instance's sockets of the same name and type. */
function subgraphLayout(node: WorkflowNode, subgraph: Subgraph): NodeLayout {
  const free = new Set(node.inputs)
  const inputs = subgraph.inputs.map(({ name, type }) => {
    const sameName = [...free].filter((slot) => slot.name === name)
    const slot = sameName.find((one) => one.type === type) ?? sameName[0]
    if (slot !== undefined) free.delete(slot)
    return { name, type, ...(slot?.linkId !== undefined && { linkId: slot.linkId }) }
  })
  return { inputs, widgets: [], outputTypes: subgraph.outputTypes }
}

/** Every node in the order of the drawing, each instance followed by what is inside of it. */
export function allNodes(graph: GraphInstance): NodeInstance[] {
  return [...graph.nodes.values()].flatMap((node) =>
    node.kind === 'subgraph' ? [node, ...allNodes(node.inner)] : [node],
  )
}

function tooMuch(what: string): MeshError {
  return new MeshError(
    'invalid_prompt',
    `The workflow has ${what} once its subgraphs are opened. Split it up.`,
  )
}

function containsItself({ name }: Subgraph): MeshError {
  return new MeshError(
    'invalid_prompt',
    `The ${name} contains itself. Take it out of itself and save the workflow again.`,
  )
}
