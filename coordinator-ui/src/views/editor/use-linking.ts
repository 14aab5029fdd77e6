/** Links that are drawn, led elsewhere and cut with the pointer. */
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { type Connection, type Edge, type FinalConnectionState, useReactFlow } from '@xyflow/react'
import { useRef } from 'react'
import type { Point } from '../../state/editor/document.ts'
import {
  connect,
  connectToNode,
  type LooseLink,
  removeLinks,
} from '../../state/editor/edit-links.ts'
import { currentGraph, edit } from '../../state/editor/editor.ts'
import { canConnect, type InputPlace, type OutputPlace } from '../../state/editor/fitting-links.ts'
import { allInputs } from '../../state/editor/node-parts.ts'
import { viewById } from '../../state/editor/node-view.ts'
import { useEditorContext } from './editor-context.ts'
import { useAddNode } from './use-add-node.ts'

/** What the canvas calls when a link is drawn, or its end is let go. */
export function useLinking() {
  const { definitions, isReadOnly } = useEditorContext()
  const { addAt } = useAddNode()
  const { screenToFlowPosition } = useReactFlow()
  const reconnecting = useRef<'no' | 'aiming' | 'done'>('no')

  const isValidConnection = (connection: Connection | Edge) => {
    const ends = endsOf(connection)
    return ends !== undefined && canConnect(currentGraph(), ends.from, ends.to, definitions)
  }
  const onConnect = (connection: Connection) => {
    const ends = endsOf(connection)
    if (ends) edit((workflow) => connect(workflow, ends.from, ends.to, definitions))
  }
  const onConnectEnd = (event: MouseEvent | TouchEvent, state: FinalConnectionState) => {
    // A socket that does not fit was aimed at, and nothing else.
    if (state.toHandle || reconnecting.current !== 'no' || isReadOnly) return
    const loose = looseEndOf(state, definitions)
    if (loose === undefined) return
    const { clientX: x, clientY: y } = 'clientX' in event ? event : event.changedTouches[0]!
    const nodeId = nodeIdAt({ x, y })
    if (nodeId === undefined) addAt({ x, y }, screenToFlowPosition({ x, y }), loose)
    else edit((workflow) => connectToNode(workflow, loose, nodeId, definitions))
  }
  return {
    isValidConnection,
    onConnect,
    onConnectEnd,
    onReconnectStart: () => {
      reconnecting.current = 'aiming'
    },
    onReconnect: (old: Edge, connection: Connection) => {
      reconnecting.current = 'done'
      const ends = endsOf(connection)
      if (ends === undefined) return
      edit((workflow) => {
        const cut = removeLinks(workflow, new Set([old.id]))
        const linked = connect(cut, ends.from, ends.to, definitions)
        return linked === cut ? workflow : linked
      })
    },
    // Let go in empty space: the link is taken away.
    onReconnectEnd: (_: MouseEvent | TouchEvent, old: Edge) => {
      if (reconnecting.current === 'aiming') {
        edit((workflow) => removeLinks(workflow, new Set([old.id])))
      }
      reconnecting.current = 'no'
    },
  }
}

interface Ends {
  readonly from: OutputPlace
  readonly to: InputPlace
}

function endsOf({
  source,
  sourceHandle,
  target,
  targetHandle,
}: Connection | Edge): Ends | undefined {
  if (!sourceHandle?.startsWith('out ') || !targetHandle?.startsWith('in ')) return undefined
  return {
    from: { nodeId: source, slot: Number(sourceHandle.slice('out '.length)) },
    to: { nodeId: target, key: targetHandle.slice('in '.length) },
  }
}

/** The node below a point of the page. */
function nodeIdAt({ x, y }: Point): string | undefined {
  const node = document.elementFromPoint(x, y)?.closest('.react-flow__node-node')
  return node?.getAttribute('data-id') ?? undefined
}

function looseEndOf(
  { fromHandle }: FinalConnectionState,
  definitions: NodeDefinitions,
): LooseLink | undefined {
  if (!fromHandle?.id) return undefined
  const { id: handle, nodeId } = fromHandle
  const view = viewById(currentGraph(), nodeId, definitions)
  if (view === undefined) return undefined
  if (fromHandle.type === 'source') {
    const slot = Number(handle.slice('out '.length))
    const output = view.outputs[slot]
    return output && { side: 'output', type: output.type, from: { nodeId, slot } }
  }
  const key = handle.slice('in '.length)
  const input = allInputs(view).find((one) => one.key === key)
  return input && { side: 'input', type: input.type, to: { nodeId, key } }
}
