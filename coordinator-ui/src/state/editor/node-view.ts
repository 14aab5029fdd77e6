/** A node of a workflow as it is shown: what kind it is, what it has, where it stands and how it looks. */
import { objectOf } from '@comfymesh/protocol/convert/document'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { NodeDefinition, NodeDefinitions } from '@comfymesh/protocol/workflow'
import {
  type EditorNodeId,
  nodeIdOf,
  nodeOf,
  type Point,
  subgraphsOf,
  type Workflow,
} from './document.ts'
import { definedParts, drawnParts, type NodeKind, type NodeParts } from './node-parts.ts'

export type NodeMode = 'always' | 'muted' | 'bypassed'

export interface NodeView extends NodeParts {
  readonly id: EditorNodeId
  readonly type: string
  readonly kind: NodeKind
  readonly title: string
  readonly mode: NodeMode
  readonly isCollapsed: boolean
  /** `bgcolor` of the file, or else its `color`. */
  readonly colour?: string
  /** Of the corner below the title, as ComfyUI counts. */
  readonly position: Point
  readonly size: { readonly width: number; readonly height: number }
  readonly description?: string
}

/** What the two nodes are called that stand for the sockets of a subgraph; in no file. */
export const SOCKETS = { inputs: 'comfymesh/inputs', outputs: 'comfymesh/outputs' } as const

const VIRTUAL_KINDS: { readonly [type: string]: NodeKind } = {
  Reroute: 'reroute',
  Note: 'note',
  MarkdownNote: 'note',
  PrimitiveNode: 'primitive',
  [SOCKETS.inputs]: 'sockets',
  [SOCKETS.outputs]: 'sockets',
}

const MODES: { readonly [mode: number]: NodeMode } = { 2: 'muted', 4: 'bypassed' }

const cache = new WeakMap<NodeDefinitions, WeakMap<JsonObject, NodeView>>()

/** The same view for the same node, so that what did not change is not drawn again. */
export function nodeView(
  node: JsonObject,
  workflow: Workflow,
  definitions: NodeDefinitions,
): NodeView {
  const kind = kindOf(node, workflow, definitions)
  // These depend on more than the node itself.
  if (kind === 'primitive' || kind === 'subgraph') return viewOf(node, kind, workflow, definitions)
  const known = cache.get(definitions) ?? new WeakMap<JsonObject, NodeView>()
  cache.set(definitions, known)
  const view = known.get(node) ?? viewOf(node, kind, workflow, definitions)
  known.set(node, view)
  return view
}

export function viewById(
  workflow: Workflow,
  id: EditorNodeId,
  definitions: NodeDefinitions,
): NodeView | undefined {
  const node = nodeOf(workflow, id)
  return node && nodeView(node, workflow, definitions)
}

function kindOf(node: JsonObject, workflow: Workflow, definitions: NodeDefinitions): NodeKind {
  const type = String(node.type)
  if (subgraphsOf(workflow).some(({ id }) => id === type)) return 'subgraph'
  if (Object.hasOwn(VIRTUAL_KINDS, type)) return VIRTUAL_KINDS[type]!
  return Object.hasOwn(definitions, type) ? 'class' : 'unknown'
}

function viewOf(
  node: JsonObject,
  kind: NodeKind,
  workflow: Workflow,
  definitions: NodeDefinitions,
): NodeView {
  const definition = kind === 'class' ? definitions[String(node.type)] : undefined
  const parts =
    definition === undefined
      ? drawnParts(node, kind, workflow, definitions)
      : definedParts(node, definition)
  const { colour, ...looks } = looksOf(node)
  return {
    id: nodeIdOf(node),
    type: String(node.type),
    kind,
    title: titleOf(node, kind, workflow, definition),
    ...looks,
    ...(colour !== undefined && { colour }),
    ...parts,
    ...(definition?.description && { description: definition.description }),
  }
}

function titleOf(
  { title, type }: JsonObject,
  kind: NodeKind,
  workflow: Workflow,
  definition: NodeDefinition | undefined,
): string {
  if (typeof title === 'string' && title !== '') return title
  if (kind === 'subgraph') {
    const name = subgraphsOf(workflow).find(({ id }) => id === type)?.name
    return typeof name === 'string' ? name : 'Subgraph'
  }
  return definition?.display_name || String(type)
}

const DEFAULT_WIDTH = 210

function looksOf(node: JsonObject) {
  const [x, y] = pairOf(node.pos)
  const [width, height] = pairOf(node.size)
  const colour = node.bgcolor ?? node.color
  return {
    mode: MODES[Number(node.mode)] ?? ('always' as const),
    isCollapsed: objectOf(node.flags).collapsed === true,
    position: { x, y },
    size: { width: width || DEFAULT_WIDTH, height },
    colour: typeof colour === 'string' ? colour : undefined,
  }
}

/** `[x, y]`; old files have `{"0": x, "1": y}`. */
export function pairOf(value: JsonValue | undefined): [number, number] {
  const pair = Array.isArray(value) ? value : [objectOf(value)['0'], objectOf(value)['1']]
  return [Number(pair[0]) || 0, Number(pair[1]) || 0]
}
