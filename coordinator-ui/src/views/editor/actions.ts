/** What is done to selected nodes, by keys, by buttons and by the clipboard alike. */

import { isWorkflow } from '@comfymesh/protocol/convert/convert-workflow'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { useReactFlow } from '@xyflow/react'
import { useCallback } from 'react'
import { copyNodes, pasteNodes } from '../../state/editor/clipboard.ts'
import { nodesOf, openedWorkflow, type Point, type Workflow } from '../../state/editor/document.ts'
import { removeLinks } from '../../state/editor/edit-links.ts'
import {
  addGroup,
  moveNodes,
  type NodeColour,
  removeGroup,
  removeNodes,
  setColour,
  toggleCollapsed,
  toggleMode,
} from '../../state/editor/edit-nodes.ts'
import { currentGraph, edit, setRefusal } from '../../state/editor/editor.ts'
import { pairOf } from '../../state/editor/node-view.ts'
import { type FlowNode, groupIndexOf } from './flow.ts'
import { useSelection } from './use-selection.ts'

/** Where a browser's clipboard is closed to a page, a copy is at least here. */
let copied: string | undefined

const GRID = 20

export function useActions() {
  const { select, selection } = useSelection()
  const { getNodes } = useReactFlow<FlowNode>()

  const change = useCallback(
    (make: (workflow: Workflow, ids: ReadonlySet<string>) => Workflow) => {
      const { nodeIds } = selection()
      if (nodeIds.size > 0) edit((workflow) => make(workflow, nodeIds))
    },
    [selection],
  )

  /** @returns the text for the clipboard, or undefined when nothing is selected. */
  const copy = useCallback((): string | undefined => {
    const { nodeIds } = selection()
    if (nodeIds.size === 0) return undefined
    copied = stringifyJson(copyNodes(currentGraph(), nodeIds))
    return copied
  }, [selection])

  /** @returns whether the text is a copy of nodes. */
  const paste = useCallback(
    (text: string | undefined, at?: Point): boolean => {
      const copy = workflowIn(text ?? copied)
      if (copy === undefined) return false
      const { workflow, ids, refusal } = pasteNodes(currentGraph(), copy, at)
      edit(() => workflow)
      setRefusal(refusal)
      if (refusal === undefined) select(ids)
      return true
    },
    [select],
  )

  const duplicate = useCallback(() => {
    if (copy() !== undefined) paste(copied)
  }, [copy, paste])

  const remove = useCallback(() => {
    const { nodeIds, groupIds, linkIds } = selection()
    // From the last on, so that the places of the others stay what they are.
    const groups = groupIds.map((id) => groupIndexOf(id) ?? -1).toSorted((a, b) => b - a)
    edit((workflow) =>
      groups.reduce(removeGroup, removeNodes(removeLinks(workflow, linkIds), nodeIds)),
    )
  }, [selection])

  const group = useCallback(() => {
    const boxes = getNodes()
      .filter(({ selected, type }) => selected && type === 'node')
      .map(({ position, measured }) => ({
        x: Math.round(position.x),
        y: Math.round(position.y),
        width: Math.round(measured?.width ?? 0),
        height: Math.round(measured?.height ?? 0),
      }))
    edit((workflow) => addGroup(workflow, 'Group', boxes))
  }, [getNodes])

  return {
    copy,
    paste,
    duplicate,
    remove,
    group,
    selectAll: () => select(new Set(getNodes().map(({ id }) => id))),
    mute: () => change((workflow, ids) => toggleMode(workflow, ids, 'muted')),
    bypass: () => change((workflow, ids) => toggleMode(workflow, ids, 'bypassed')),
    collapse: () => change(toggleCollapsed),
    colour: (colour: NodeColour | undefined) =>
      change((workflow, ids) => setColour(workflow, ids, colour)),
    align: () => change(aligned),
  }
}

export type Actions = ReturnType<typeof useActions>

/** The workflow that a text is, if it is one with nodes. */
function workflowIn(text: string | undefined): Workflow | undefined {
  if (text === undefined || !text.trimStart().startsWith('{')) return undefined
  try {
    const value = parseJson(text)
    return isWorkflow(value) ? openedWorkflow(value) : undefined
  } catch {
    return undefined
  }
}

function aligned(workflow: Workflow, ids: ReadonlySet<string>): Workflow {
  const onGrid = (value: number) => Math.round(value / GRID) * GRID
  const corners = nodesOf(workflow)
    .filter(({ id }) => ids.has(String(id)))
    .map(({ id, pos }): [string, Point] => {
      const [x, y] = pairOf(pos)
      return [String(id), { x: onGrid(x), y: onGrid(y) }]
    })
  return moveNodes(workflow, new Map(corners))
}
