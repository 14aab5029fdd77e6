/** A prompt as boxes and lines, with what its job has come to. Pure. */
import type { JobState } from '@comfymesh/protocol/job'
import {
  isLink,
  type NodeDefinitions,
  type NodeId,
  type Prompt,
} from '@comfymesh/protocol/workflow'

export type NodeStatus = 'idle' | 'running' | 'finished' | 'cached' | 'failed'

export interface GraphSlot {
  readonly name: string
  readonly type: string
}

export interface GraphNode {
  readonly id: NodeId
  readonly title: string
  readonly classType: string
  /** Inputs that are linked. */
  readonly inputs: readonly GraphSlot[]
  readonly outputs: readonly GraphSlot[]
  readonly values: readonly { readonly name: string; readonly text: string }[]
  readonly status: NodeStatus
  /** 0 to 1 while it runs. */
  readonly progress: number
  /** The machine that is to run, runs or ran it. */
  readonly peerId?: string
}

export interface GraphEdge {
  readonly id: string
  readonly source: NodeId
  readonly sourceSlot: number
  readonly target: NodeId
  readonly input: string
  readonly type: string
}

export interface Graph {
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

export function graphOf(prompt: Prompt, definitions: NodeDefinitions, job?: JobState): Graph {
  const outputType = (id: NodeId, slot: number) =>
    definitions[prompt[id]?.class_type ?? '']?.output[slot] ?? '*'
  const nodes = Object.entries(prompt).map(([id, node]): GraphNode => {
    const definition = definitions[node.class_type]
    const entries = Object.entries(node.inputs)
    return {
      id,
      title: node._meta?.title || definition?.display_name || node.class_type,
      classType: node.class_type,
      inputs: entries.flatMap(([name, value]) =>
        isLink(value) ? [{ name, type: outputType(...value) }] : [],
      ),
      outputs: (definition?.output ?? []).map((type, slot) => ({
        name: definition?.output_name[slot] || type,
        type,
      })),
      values: entries.flatMap(([name, value]) =>
        isLink(value) ? [] : [{ name, text: typeof value === 'object' ? '…' : String(value) }],
      ),
      ...statusOf(id, job),
    }
  })
  const edges = Object.entries(prompt).flatMap(([target, { inputs }]) =>
    Object.entries(inputs).flatMap(([input, link]): GraphEdge[] => {
      if (!isLink(link) || prompt[link[0]] === undefined) return []
      const [source, sourceSlot] = link
      const type = outputType(source, sourceSlot)
      return [{ id: `${target}.${input}`, source, sourceSlot, target, input, type }]
    }),
  )
  return { nodes, edges }
}

function statusOf(
  id: NodeId,
  job: JobState | undefined,
): Pick<GraphNode, 'status' | 'progress' | 'peerId'> {
  if (job === undefined) return { status: 'idle', progress: 0 }
  if (job.status === 'failed' && job.endNodeId === id) return { status: 'failed', progress: 0 }
  const state = job.nodes.find(({ nodeId }) => nodeId === id)
  if (state === undefined) {
    const isCached = job.cached?.nodeIds.includes(id) ?? false
    return { status: isCached ? 'cached' : 'idle', progress: 0, ...plannedPeer(id, job) }
  }
  const peer = state.peerId === '' ? {} : { peerId: state.peerId }
  if (state.cached) return { status: 'cached', progress: 1, ...peer }
  return { status: state.status, progress: state.value / Math.max(1, state.max), ...peer }
}

/** Where a node that has not begun is to run. */
function plannedPeer(id: NodeId, { plan }: JobState): { readonly peerId?: string } {
  const stage = plan?.stages.find(({ nodes }) => nodes.some((node) => node.id === id))
  const placement = plan?.placements.find(({ stageId }) => stageId === stage?.id)
  return placement === undefined ? {} : { peerId: placement.peerId }
}

/** The colours that ComfyUI's users know the types by. */
const typeColours: { readonly [type: string]: string } = {
  MODEL: '#b39ddb',
  CLIP: '#ffd500',
  VAE: '#ff6e6e',
  CONDITIONING: '#ffa931',
  LATENT: '#ff9cf9',
  IMAGE: '#64b5f6',
  MASK: '#81c784',
  CONTROL_NET: '#6ee7b7',
  CLIP_VISION: '#a8dadc',
  STYLE_MODEL: '#c2ffae',
  CLIP_VISION_OUTPUT: '#ad7452',
  NOISE: '#b0b0b0',
  GUIDER: '#66ffff',
  SAMPLER: '#ecb4b4',
  SIGMAS: '#cdffcd',
}

export function colourOf(type: string): string {
  return typeColours[type] ?? '#9ca3af'
}
