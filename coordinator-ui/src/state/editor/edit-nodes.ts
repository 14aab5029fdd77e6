/** Edits of nodes: new ones, gone ones, where they stand and how they look. */
import { isObject, objectOf } from '@comfymesh/protocol/convert/document'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import {
  type EditorNodeId,
  linksOf,
  listOf,
  nextIds,
  nodeIdOf,
  nodeOf,
  type Point,
  type Workflow,
  withLastIds,
  withNode,
  withNodes,
  without,
} from './document.ts'
import { removeLinks } from './edit-links.ts'
import { type NodeMode, pairOf } from './node-view.ts'

/** A node without its id: what a definition or a copy gives. */
export type NewNode = JsonObject

export function addNode(
  workflow: Workflow,
  node: NewNode,
): { readonly workflow: Workflow; readonly id: EditorNodeId } {
  const id = nextIds(workflow).node
  const nodes = listOf(workflow.nodes)
  const added = { ...workflow, nodes: [...nodes, { id, order: nodes.length, ...node }] }
  return { workflow: withLastIds(added, { node: id }), id: String(id) }
}

/** Nodes and their links; groups stay. */
export function removeNodes(workflow: Workflow, ids: ReadonlySet<EditorNodeId>): Workflow {
  const attached = linksOf(workflow).filter(
    ({ originId, targetId }) => ids.has(originId) || ids.has(targetId),
  )
  const unlinked = removeLinks(workflow, new Set(attached.map(({ id }) => id)))
  const nodes = listOf(unlinked.nodes)
  const kept = nodes.filter((node) => !isObject(node) || !ids.has(nodeIdOf(node)))
  return kept.length === nodes.length ? workflow : { ...unlinked, nodes: kept }
}

/** @param positions of the corners below the titles */
export function moveNodes(
  workflow: Workflow,
  positions: ReadonlyMap<EditorNodeId, Point>,
): Workflow {
  return withNodes(workflow, new Set(positions.keys()), (node) => {
    const { x, y } = positions.get(nodeIdOf(node))!
    const [beforeX, beforeY] = pairOf(node.pos)
    return x === beforeX && y === beforeY ? node : { ...node, pos: [x, y] }
  })
}

export function resizeNode(
  workflow: Workflow,
  id: EditorNodeId,
  { width, height }: { readonly width: number; readonly height: number },
): Workflow {
  return withNode(workflow, id, (node) => ({
    ...node,
    size: [Math.round(width), Math.round(height)],
  }))
}

const MODE_NUMBERS: { readonly [mode in NodeMode]: number } = { always: 0, muted: 2, bypassed: 4 }

/** Gives all of them the mode, or takes it from them when all have it already. */
export function toggleMode(
  workflow: Workflow,
  ids: ReadonlySet<EditorNodeId>,
  mode: Exclude<NodeMode, 'always'>,
): Workflow {
  const wanted = MODE_NUMBERS[mode]
  const allHave = [...ids].every((id) => nodeOf(workflow, id)?.mode === wanted)
  return withNodes(workflow, ids, (node) => ({ ...node, mode: allHave ? 0 : wanted }))
}

export function toggleCollapsed(workflow: Workflow, ids: ReadonlySet<EditorNodeId>): Workflow {
  const isCollapsed = (node: JsonObject | undefined) => objectOf(node?.flags).collapsed === true
  const allAre = [...ids].every((id) => isCollapsed(nodeOf(workflow, id)))
  return withNodes(workflow, ids, (node) => {
    const { collapsed: _, ...flags } = objectOf(node.flags)
    return { ...node, flags: allAre ? flags : { ...flags, collapsed: true } }
  })
}

/** No title gives the node the name of its class again. */
export function setTitle(workflow: Workflow, id: EditorNodeId, title: string): Workflow {
  return withNode(workflow, id, (node) => {
    if (title === (node.title ?? '')) return node
    return title === '' ? without(node, 'title') : { ...node, title }
  })
}

/** Header and body, as ComfyUI's frontend saves them. */
export interface NodeColour {
  readonly color: string
  readonly bgcolor: string
}

export function setColour(
  workflow: Workflow,
  ids: ReadonlySet<EditorNodeId>,
  colour: NodeColour | undefined,
): Workflow {
  return withNodes(workflow, ids, (node) =>
    colour === undefined ? without(node, 'color', 'bgcolor') : { ...node, ...colour },
  )
}

/** A workflow's frame around nodes; `index` is its place in the list. */
export interface GroupView {
  readonly index: number
  readonly title: string
  readonly colour?: string
  readonly position: Point
  readonly size: { readonly width: number; readonly height: number }
}

const groupViews = new WeakMap<JsonObject, GroupView>()

/** The same view for the same frame at the same place, so that it is not drawn again. */
export function groupsOf({ groups }: Workflow): GroupView[] {
  return listOf(groups).flatMap((group, index) => {
    if (!isObject(group)) return []
    const known = groupViews.get(group)
    const view = known?.index === index ? known : groupView(group, index)
    groupViews.set(group, view)
    return [view]
  })
}

function groupView(group: JsonObject, index: number): GroupView {
  const [x = 0, y = 0, width = 0, height = 0] = listOf(group.bounding).map(Number)
  return {
    index,
    title: typeof group.title === 'string' ? group.title : 'Group',
    ...(typeof group.color === 'string' && { colour: group.color }),
    position: { x, y },
    size: { width, height },
  }
}

export function moveGroup(workflow: Workflow, index: number, { x, y }: Point): Workflow {
  return withGroup(workflow, index, (group) => {
    const [, , width = 0, height = 0] = listOf(group.bounding)
    return { ...group, bounding: [x, y, width, height] }
  })
}

export const setGroupTitle = (workflow: Workflow, index: number, title: string): Workflow =>
  withGroup(workflow, index, (group) => (group.title === title ? group : { ...group, title }))

function withGroup(
  workflow: Workflow,
  index: number,
  change: (group: JsonObject) => JsonObject,
): Workflow {
  const groups = listOf(workflow.groups)
  const before = groups[index]
  if (!isObject(before)) return workflow
  const after = change(before)
  return after === before ? workflow : { ...workflow, groups: groups.with(index, after) }
}

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

const GROUP_PADDING = 12
const GROUP_TITLE = 36

/** A frame around these boxes. */
export function addGroup(workflow: Workflow, title: string, boxes: readonly Box[]): Workflow {
  if (boxes.length === 0) return workflow
  const left = Math.min(...boxes.map(({ x }) => x)) - GROUP_PADDING
  const top = Math.min(...boxes.map(({ y }) => y)) - GROUP_PADDING - GROUP_TITLE
  const right = Math.max(...boxes.map(({ x, width }) => x + width)) + GROUP_PADDING
  const bottom = Math.max(...boxes.map(({ y, height }) => y + height)) + GROUP_PADDING
  const groups = listOf(workflow.groups)
  const ids = groups.map((group) => Number(objectOf(group).id) || 0)
  const group: JsonValue = {
    id: Math.max(0, ...ids) + 1,
    title,
    bounding: [left, top, right - left, bottom - top],
    color: '#3f789e',
    flags: {},
  }
  return { ...workflow, groups: [...groups, group] }
}

/** Takes the frame away; the nodes in it stay. */
export function removeGroup(workflow: Workflow, index: number): Workflow {
  const groups = listOf(workflow.groups)
  return index in groups ? { ...workflow, groups: groups.toSpliced(index, 1) } : workflow
}
