/** The graph of a prompt: readable, zoomable, in ComfyUI's colours, with what each node does. */
import '@xyflow/react/dist/style.css'
import './graph.css'
import type { JobState } from '@comfymesh/protocol/job'
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import { useComputedColorScheme } from '@mantine/core'
import {
  Background,
  Controls,
  type Edge,
  Handle,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
} from '@xyflow/react'
import { memo, useMemo } from 'react'
import { colourOf, type GraphNode, graphOf } from '../../state/graph.ts'
import { layout } from '../../state/layout.ts'
import { usePeerNames } from '../../state/peers.ts'

const WIDTH = 240
const TITLE_HEIGHT = 34
const ROW_HEIGHT = 22
const PADDING = 16

type BoxNode = Node<{ readonly node: GraphNode; readonly peer: string | undefined }, 'box'>

export interface GraphViewProps {
  readonly prompt: Prompt
  readonly definitions: NodeDefinitions
  readonly job: JobState | undefined
}

export default function GraphView({ prompt, definitions, job }: GraphViewProps) {
  const colorMode = useComputedColorScheme('light')
  const nameOf = usePeerNames(job)
  const graph = useMemo(() => graphOf(prompt, definitions, job), [prompt, definitions, job])
  const positions = useMemo(() => {
    const heights = new Map(graph.nodes.map((node) => [node.id, heightOf(node)]))
    const height = (id: string) => heights.get(id) ?? TITLE_HEIGHT
    return layout(prompt, { width: WIDTH, gapX: 70, gapY: 28, height })
  }, [prompt, graph.nodes])
  const nodes = graph.nodes.map(
    (node): BoxNode => ({
      id: node.id,
      type: 'box',
      position: positions.get(node.id) ?? { x: 0, y: 0 },
      data: { node, peer: node.peerId && nameOf(node.peerId) },
      ariaLabel: `${node.title}, ${node.status}`,
    }),
  )
  const edges = graph.edges.map(
    ({ id, source, sourceSlot, target, input, type }): Edge => ({
      id,
      source,
      target,
      sourceHandle: String(sourceSlot),
      targetHandle: input,
      style: { stroke: colourOf(type), strokeWidth: 2 },
    }),
  )
  return (
    <ReactFlow
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypes}
      colorMode={colorMode}
      nodesDraggable={false}
      nodesConnectable={false}
      fitView
      fitViewOptions={{ padding: 0.08, maxZoom: 1 }}
      minZoom={0.1}
    >
      <Background gap={22} />
      <Controls showInteractive={false} />
    </ReactFlow>
  )
}

function heightOf({ inputs, outputs, values }: GraphNode): number {
  return (
    TITLE_HEIGHT + ROW_HEIGHT * (Math.max(inputs.length, outputs.length) + values.length) + PADDING
  )
}

const Box = memo(({ data: { node, peer } }: NodeProps<BoxNode>) => {
  const rows = Math.max(node.inputs.length, node.outputs.length)
  return (
    <div className="node" data-status={node.status} style={{ width: WIDTH }}>
      <div className="node-title">
        <span>{node.title}</span>
        {peer && <small>{peer}</small>}
      </div>
      {node.status === 'running' && (
        <div className="node-progress" style={{ width: `${node.progress * 100}%` }} />
      )}
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a slot is its place
        <div className="node-row" key={row}>
          <Slot kind="target" slot={node.inputs[row]} id={node.inputs[row]?.name} />
          <Slot kind="source" slot={node.outputs[row]} id={String(row)} />
        </div>
      ))}
      {node.values.map(({ name, text }) => (
        <div className="node-row node-value" key={name}>
          <span>{name}</span>
          <span title={text}>{text}</span>
        </div>
      ))}
    </div>
  )
})

interface SlotProps {
  readonly kind: 'source' | 'target'
  readonly slot: { readonly name: string; readonly type: string } | undefined
  readonly id: string | undefined
}

function Slot({ kind, slot, id }: SlotProps) {
  if (slot === undefined || id === undefined) return <span />
  const side = kind === 'source' ? Position.Right : Position.Left
  return (
    <span>
      <Handle
        type={kind}
        position={side}
        id={id}
        style={{ background: colourOf(slot.type) }}
        isConnectable={false}
      />
      {slot.name}
    </span>
  )
}

const nodeTypes = { box: Box }
