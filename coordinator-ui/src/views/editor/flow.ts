/** The workflow as what the canvas library draws, and its moves as edits. */
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { applyNodeChanges, type NodeChange } from '@xyflow/react'
import { linksOf, nodesOf, type Point, type Workflow } from '../../state/editor/document.ts'
import { groupsOf, moveGroup, moveNodes } from '../../state/editor/edit-nodes.ts'
import { linkRoutes } from '../../state/editor/link-routes.ts'
import { TITLE_HEIGHT } from '../../state/editor/new-node.ts'
import { allInputs } from '../../state/editor/node-parts.ts'
import { type NodeView, nodeView } from '../../state/editor/node-view.ts'
import { colourOf } from '../../state/graph.ts'
import type { EditorNodeData, EditorNodeType } from './editor-node.tsx'
import type { GroupNodeData } from './group-node.tsx'
import type { LinkEdgeData } from './link-edge.tsx'
import { inputHandle, outputHandle } from './node-sockets.tsx'

export type FlowNode = EditorNodeType | GroupNodeData

const GROUP = 'group '
const groupId = (index: number) => `${GROUP}${index}`
export const groupIndexOf = (id: string): number | undefined =>
  id.startsWith(GROUP) ? Number(id.slice(GROUP.length)) : undefined

/** The views of a workflow, one for each id: of two nodes of one id the later one counts. */
export function viewsOf(workflow: Workflow, definitions: NodeDefinitions): NodeView[] {
  const views = nodesOf(workflow).map((node) => nodeView(node, workflow, definitions))
  return [...new Map(views.map((view) => [view.id, view])).values()]
}

export function flowNodes(
  workflow: Workflow,
  views: readonly NodeView[],
  dataOf: (view: NodeView) => EditorNodeData,
): FlowNode[] {
  const groups = groupsOf(workflow).map(
    (group): GroupNodeData => ({
      id: groupId(group.index),
      type: 'frame',
      position: group.position,
      data: { group },
      // What stands in it is reached through it; its title is the handle.
      style: { pointerEvents: 'none' },
      zIndex: -1,
      dragHandle: '.group-title',
      ariaLabel: `Group ${group.title}`,
    }),
  )
  const nodes = views.map((view): EditorNodeType => {
    const { position, size, isCollapsed } = view
    return {
      id: view.id,
      type: 'node',
      // ComfyUI counts from below the title.
      position: { x: position.x, y: position.y - TITLE_HEIGHT },
      data: dataOf(view),
      ...(!isCollapsed && {
        width: size.width,
        style: { minHeight: size.height + TITLE_HEIGHT },
      }),
      ariaLabel: `${view.title}, node ${view.id}`,
    }
  })
  return [...groups, ...nodes]
}

export function flowEdges(workflow: Workflow, views: readonly NodeView[]): LinkEdgeData[] {
  const links = new Map(linksOf(workflow).map((link) => [link.id, link]))
  const routes = linkRoutes(workflow)
  const byId = new Map(views.map((view) => [view.id, view]))
  return views.flatMap((view) =>
    allInputs(view).flatMap(({ key, label, linkId }): LinkEdgeData[] => {
      const link = linkId === undefined ? undefined : links.get(linkId)
      const source = link && byId.get(link.originId)
      const output = source?.outputs[link?.originSlot ?? -1]
      // A link from nowhere is kept in the file, and there is nothing to draw.
      if (link === undefined || source === undefined || output === undefined) return []
      const type = output.type === '*' ? link.type : output.type
      return [
        {
          id: link.id,
          type: 'link',
          source: link.originId,
          sourceHandle: outputHandle(link.originSlot),
          target: view.id,
          targetHandle: inputHandle(key),
          data: { route: routes.get(link.id) ?? [] },
          style: { stroke: colourOf(type) },
          ariaLabel: `Link from ${source.title} to ${label} of ${view.title}`,
        },
      ]
    }),
  )
}

/** Keeps what the canvas knows of the nodes, and the very objects of those that did not change. */
export function reconciled(before: readonly FlowNode[], wanted: readonly FlowNode[]): FlowNode[] {
  const known = new Map(before.map((node) => [node.id, node]))
  return wanted.map((node) => {
    const old = known.get(node.id)
    if (old === undefined || old.type !== node.type) return node
    if (isSame(old, node)) return old
    const { measured, selected } = old
    return {
      ...node,
      ...(measured && { measured }),
      ...(selected && { selected }),
    } as FlowNode
  })
}

/** Whether the canvas has what it is to show. */
export function isUpToDate(nodes: readonly FlowNode[], wanted: readonly FlowNode[]): boolean {
  return nodes.length === wanted.length && nodes.every((node, at) => hasSameData(node, wanted[at]!))
}

function isSame(old: FlowNode, node: FlowNode): boolean {
  const isInPlace = old.position.x === node.position.x && old.position.y === node.position.y
  const isOfSize =
    old.width === node.width &&
    old.height === node.height &&
    old.style?.minHeight === node.style?.minHeight
  return isInPlace && isOfSize && hasSameData(old, node)
}

function hasSameData(old: FlowNode, node: FlowNode): boolean {
  const before: Record<string, unknown> = old.data
  const after: Record<string, unknown> = node.data
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return old.id === node.id && [...names].every((name) => before[name] === after[name])
}

/** Where things end up, once they are let go. */
export function movedWorkflow(workflow: Workflow, ends: ReadonlyMap<string, Point>): Workflow {
  const nodes = new Map(
    [...ends]
      .filter(([id]) => groupIndexOf(id) === undefined)
      .map(([id, { x, y }]) => [id, rounded({ x, y: y + TITLE_HEIGHT })]),
  )
  return [...ends].reduce(
    (moved, [id, position]) => {
      const index = groupIndexOf(id)
      return index === undefined ? moved : moveGroup(moved, index, rounded(position))
    },
    moveNodes(workflow, nodes),
  )
}

const rounded = ({ x, y }: Point): Point => ({ x: Math.round(x), y: Math.round(y) })

/** What stands in a frame, and so moves with it. */
export function idsWithin(nodes: readonly FlowNode[], groupNodeId: string): string[] {
  const frame = nodes.find(({ id }) => id === groupNodeId)
  if (frame?.type !== 'frame') return []
  const { width, height } = frame.data.group.size
  const { x, y } = frame.position
  return nodes
    .filter(({ id, position, measured }) => {
      const centreX = position.x + (measured?.width ?? 0) / 2
      const centreY = position.y + (measured?.height ?? 0) / 2
      const isInside = centreX > x && centreX < x + width && centreY > y && centreY < y + height
      return id !== groupNodeId && isInside
    })
    .map(({ id }) => id)
}

/** The changes, and the same moves for what stands in the frames that move. */
export function withCompanions(
  changes: readonly NodeChange<FlowNode>[],
  nodes: readonly FlowNode[],
  companions: ReadonlyMap<string, readonly string[]>,
): NodeChange<FlowNode>[] {
  const moving = new Set(changes.flatMap((one) => (one.type === 'position' ? [one.id] : [])))
  const further = changes.flatMap((change): NodeChange<FlowNode>[] => {
    if (change.type !== 'position' || change.position === undefined) return []
    const frame = nodes.find(({ id }) => id === change.id)
    if (frame === undefined) return []
    const by = {
      x: change.position.x - frame.position.x,
      y: change.position.y - frame.position.y,
    }
    return nodes
      .filter(({ id }) => companions.get(change.id)?.includes(id) && !moving.has(id))
      .map(({ id, position }) => ({
        type: 'position',
        id,
        position: { x: position.x + by.x, y: position.y + by.y },
        ...(change.dragging !== undefined && { dragging: change.dragging }),
      }))
  })
  return [...changes, ...further]
}

export const applied = (changes: NodeChange<FlowNode>[], nodes: FlowNode[]): FlowNode[] =>
  applyNodeChanges(changes, nodes)
