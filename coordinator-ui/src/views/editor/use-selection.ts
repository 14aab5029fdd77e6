/** Which nodes are selected; the canvas keeps it. */
import { useReactFlow, useStore } from '@xyflow/react'
import { useCallback } from 'react'
import type { FlowNode } from './flow.ts'

export interface Selection {
  readonly nodeIds: ReadonlySet<string>
  readonly groupIds: readonly string[]
  readonly linkIds: ReadonlySet<string>
}

export function useSelection() {
  const { getNodes, getEdges, setNodes } = useReactFlow<FlowNode>()
  const select = useCallback(
    (ids: ReadonlySet<string>) => {
      const apply = () => {
        setNodes((nodes) =>
          nodes.map((node) =>
            (node.selected ?? false) === ids.has(node.id)
              ? node
              : { ...node, selected: ids.has(node.id) },
          ),
        )
        const [first] = ids
        // The keys go on where the user looks.
        if (first !== undefined) nodeElement(first)?.focus({ preventScroll: true })
      }
      const known = new Set(getNodes().map(({ id }) => id))
      // At once, so that the next key finds it; nodes that are new the canvas has yet to hear of.
      if ([...ids].every((id) => known.has(id))) apply()
      else requestAnimationFrame(apply)
    },
    [getNodes, setNodes],
  )
  const selection = useCallback((): Selection => {
    const selected = getNodes().filter((node) => node.selected)
    return {
      nodeIds: new Set(selected.filter(isChangeable).map(({ id }) => id)),
      groupIds: selected.filter(({ type }) => type === 'frame').map(({ id }) => id),
      linkIds: new Set(getEdges().flatMap(({ id, selected }) => (selected ? [id] : []))),
    }
  }, [getNodes, getEdges])
  return { select, selection }
}

/** The sockets of a subgraph are neither copied nor taken away. */
const isChangeable = (node: FlowNode): boolean =>
  node.type === 'node' && node.data.view.kind !== 'sockets'

const nodeElement = (id: string) =>
  document.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`)

/** The ids of the selected nodes, as text that changes only with them. */
export function useSelectedIds(): ReadonlySet<string> {
  const text = useStore(({ nodes }) =>
    nodes
      .filter((node) => node.selected && isChangeable(node as FlowNode))
      .map(({ id }) => id)
      .join('\n'),
  )
  return new Set(text === '' ? [] : text.split('\n'))
}
