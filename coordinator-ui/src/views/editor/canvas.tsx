/** The drawing: nodes, links and frames, and what is done to them with pointer and keys. */
import { useComputedColorScheme } from '@mantine/core'
import {
  Background,
  Controls,
  MiniMap,
  type NodeChange,
  ReactFlow,
  useStore as useFlowStore,
  useReactFlow,
} from '@xyflow/react'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import type { Point } from '../../state/editor/document.ts'
import { edit, editor, lookInside } from '../../state/editor/editor.ts'
import { openGraph } from '../../state/editor/editor-state.ts'
import { useStore } from '../../state/store.ts'
import { useEditorContext } from './editor-context.ts'
import { EditorNode, type EditorNodeData } from './editor-node.tsx'
import {
  applied,
  type FlowNode,
  flowEdges,
  flowNodes,
  groupIndexOf,
  idsWithin,
  isUpToDate,
  movedWorkflow,
  reconciled,
  viewsOf,
  withCompanions,
} from './flow.ts'
import { GroupNode } from './group-node.tsx'
import { LinkEdge, type LinkEdgeData } from './link-edge.tsx'
import { SelectionTools } from './selection-tools.tsx'
import { useAddNode } from './use-add-node.ts'
import { useLinking } from './use-linking.ts'
import { useNodeData } from './use-node-data.ts'
import { useShortcuts } from './use-shortcuts.ts'

const nodeTypes = { node: EditorNode, frame: GroupNode }
const edgeTypes = { link: LinkEdge }
const GRID = 10
/** From here on only what is in sight is drawn, and from afar only the nodes' titles. */
const MANY_NODES = 150
/** Smaller than this nothing inside of a node can be read. */
const FAR_ZOOM = 0.3
/** How near a link's end must come to a socket to snap to it. */
const SNAP_RADIUS = 24

/** How a whole workflow is looked at. */
const WHOLE = { padding: 0.08, maxZoom: 1 }

export interface CanvasProps {
  readonly isSnapping: boolean
}

export function Canvas({ isSnapping }: CanvasProps) {
  const { isReadOnly } = useEditorContext()
  const colorMode = useComputedColorScheme('light')
  const { nodes, edges, onNodesChange, onEdgesChange } = useFlow()
  const linking = useLinking()
  const { addAt } = useAddNode()
  const { screenToFlowPosition } = useReactFlow()
  const isFar = useFlowStore(({ transform: [, , zoom] }) => zoom < FAR_ZOOM)
  useShortcuts()

  const isPane = (target: EventTarget) =>
    target instanceof Element && target.classList.contains('react-flow__pane')
  const search = (event: { clientX: number; clientY: number }) => {
    const { clientX: x, clientY: y } = event
    addAt({ x, y }, screenToFlowPosition({ x, y }))
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button "Add a node" does the same
    <div
      className="editor-canvas"
      data-far={isFar && nodes.length > MANY_NODES}
      onDoubleClick={(event) => {
        if (!isReadOnly && isPane(event.target)) search(event)
      }}
    >
      <ReactFlow<FlowNode, LinkEdgeData>
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        onNodesChange={onNodesChange}
        onEdgesChange={onEdgesChange}
        {...linking}
        onNodeDoubleClick={({ target }, { data }) => {
          const isTitle = target instanceof Element && target.closest('.editor-node-title, input')
          if (!isTitle && 'view' in data && data.view.kind === 'subgraph') {
            lookInside(data.view.id)
          }
        }}
        onPaneContextMenu={(event) => {
          event.preventDefault()
          if (!isReadOnly) search(event)
        }}
        colorMode={colorMode}
        nodesDraggable={!isReadOnly}
        nodesConnectable={!isReadOnly}
        edgesReconnectable={!isReadOnly}
        snapToGrid={isSnapping}
        snapGrid={[GRID, GRID]}
        connectionRadius={SNAP_RADIUS}
        deleteKeyCode={null}
        zoomOnDoubleClick={false}
        elevateNodesOnSelect
        onlyRenderVisibleElements={nodes.length > MANY_NODES}
        minZoom={0.1}
        maxZoom={2.5}
      >
        <Background gap={GRID * 2} />
        <Controls showInteractive={false} fitViewOptions={WHOLE} />
        {!isReadOnly && (
          <MiniMap pannable zoomable nodeColor={mapColour} ariaLabel="The whole workflow, small" />
        )}
        {!isReadOnly && <SelectionTools />}
      </ReactFlow>
    </div>
  )
}

/** Frames are only a shade; nodes are seen in their own colour. */
const mapColour = ({ type, data }: FlowNode): string =>
  type === 'frame' ? '#8886' : ((data as EditorNodeData).view.colour ?? '#8b93a7')

/** Looks at the whole of a workflow that was just opened, once its nodes have their sizes. */
function useWholeView(nodes: readonly FlowNode[], isReady: boolean): void {
  const { openings } = useStore(editor)
  const { fitView } = useReactFlow()
  const seen = useRef<number>(undefined)
  useEffect(() => {
    if (seen.current === openings || !isReady || nodes.length === 0) return
    if (nodes.some(({ measured }) => measured?.width === undefined)) return
    seen.current = openings
    void fitView(WHOLE)
  }, [openings, nodes, isReady, fitView])
}

/** What the canvas shows, kept in step with the workflow. */
function useFlow() {
  const { definitions } = useEditorContext()
  const workflow = openGraph(useStore(editor))
  const dataOf = useNodeData()
  const views = useMemo(() => viewsOf(workflow, definitions), [workflow, definitions])
  const wanted = useMemo(() => flowNodes(workflow, views, dataOf), [workflow, views, dataOf])
  const links = useMemo(() => flowEdges(workflow, views), [workflow, views])
  const [nodes, setNodes] = useState<FlowNode[]>(wanted)
  const [selectedLinks, setSelectedLinks] = useState<ReadonlySet<string>>(new Set())
  useLayoutEffect(() => setNodes((before) => reconciled(before, wanted)), [wanted])
  useWholeView(nodes, isUpToDate(nodes, wanted))
  const companions = useRef(new Map<string, readonly string[]>())

  const onNodesChange = (changes: NodeChange<FlowNode>[]) => {
    for (const change of changes) {
      if (change.type !== 'position' || groupIndexOf(change.id) === undefined) continue
      if (!companions.current.has(change.id)) {
        companions.current.set(change.id, idsWithin(nodes, change.id))
      }
    }
    const all = withCompanions(changes, nodes, companions.current)
    const moved = applied(all, nodes)
    setNodes(moved)
    const ended = new Set(
      all.flatMap((one) => (one.type === 'position' && one.dragging === false ? [one.id] : [])),
    )
    if (ended.size === 0) return
    companions.current.clear()
    commitMoves(moved.filter(({ id }) => ended.has(id)))
  }
  const edges = useMemo(
    () => links.map((link) => (selectedLinks.has(link.id) ? { ...link, selected: true } : link)),
    [links, selectedLinks],
  )
  const onEdgesChange = (changes: readonly { type: string; id?: string; selected?: boolean }[]) =>
    setSelectedLinks((before) => {
      const after = new Set(before)
      for (const { type, id, selected } of changes) {
        if (type !== 'select' || id === undefined) continue
        if (selected) after.add(id)
        else after.delete(id)
      }
      return after
    })
  return { nodes, edges, onNodesChange, onEdgesChange }
}

/** Steps of one move, as with the arrow keys, are one step back. */
function commitMoves(nodes: readonly FlowNode[]): void {
  const ends = new Map<string, Point>(nodes.map(({ id, position }) => [id, position]))
  edit((workflow) => movedWorkflow(workflow, ends), `move ${[...ends.keys()].join()}`)
}
