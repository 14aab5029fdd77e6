/** What a run has come to, node by node: its state, its pictures, and what is wrong with it. */
import { isObject } from '@comfymesh/protocol/convert/document'
import type { JobState } from '@comfymesh/protocol/job'
import type { JsonObject } from '@comfymesh/protocol/json'
import { noProblems, type RunProblems } from '../problems.ts'
import type { EditorNodeId } from './document.ts'

export type RunStatus = 'idle' | 'running' | 'finished' | 'cached' | 'failed'

/** A file as ComfyUI names it. */
export interface PictureName {
  readonly filename: string
  readonly subfolder: string
  readonly type: string
}

export interface NodeRun {
  readonly status: RunStatus
  /** 0 to 1 while it runs. */
  readonly share: number
  readonly text?: string
  readonly peerId?: string
  readonly pictures: readonly PictureName[]
}

/** As which node of the open graph one of the prompt is seen, if it is; see open-graph.ts. */
export type DrawnIn = (promptId: string) => EditorNodeId | undefined

/** By the ids of drawn nodes. */
export function nodeRuns(
  job: JobState | undefined,
  drawnIn: DrawnIn,
): ReadonlyMap<EditorNodeId, NodeRun> {
  const runs = new Map<EditorNodeId, NodeRun>()
  if (job === undefined) return runs
  for (const id of job.cached?.nodeIds ?? []) {
    merge(runs, drawnIn(id), { status: 'cached', share: 1 })
  }
  for (const { nodeId, status, cached, value, max, peerId } of job.nodes) {
    merge(runs, drawnIn(nodeId), {
      status: cached ? 'cached' : status,
      share: value / Math.max(1, max),
      ...(status === 'running' && max > 1 && { text: `${value} of ${max}` }),
      ...(peerId !== '' && { peerId }),
    })
  }
  for (const [id, output] of Object.entries(job.outputs)) {
    const drawn = drawnIn(id)
    if (drawn === undefined) continue
    const run = runs.get(drawn) ?? idle
    runs.set(drawn, { ...run, pictures: [...run.pictures, ...picturesOf(output)] })
  }
  if (job.status === 'failed' && job.endNodeId !== undefined) {
    merge(runs, drawnIn(job.endNodeId), { status: 'failed', share: 0 })
  }
  return runs
}

const idle: NodeRun = { status: 'idle', share: 0, pictures: [] }

/** What is going on inside of an instance counts more than what is over. */
const WEIGHTS: { readonly [status in RunStatus]: number } = {
  idle: 0,
  cached: 1,
  finished: 2,
  running: 3,
  failed: 4,
}

function merge(
  runs: Map<EditorNodeId, NodeRun>,
  id: EditorNodeId | undefined,
  next: Omit<NodeRun, 'pictures'>,
): void {
  if (id === undefined) return
  const before = runs.get(id) ?? idle
  if (WEIGHTS[before.status] > WEIGHTS[next.status]) return
  runs.set(id, { ...next, pictures: before.pictures })
}

function picturesOf({ images }: JsonObject): PictureName[] {
  return (Array.isArray(images) ? images : []).filter(isObject).map((image) => ({
    filename: String(image.filename),
    subfolder: String(image.subfolder ?? ''),
    type: String(image.type ?? 'output'),
  }))
}

/**
 * The problems of nodes as a whole in the words of the conversion, where that had some: a server
 * sees that a class is missing, and the conversion knows which one it was.
 */
export function explained(
  { nodes, general }: RunProblems,
  warnings: readonly { readonly message: string; readonly nodeId?: string }[],
): RunProblems {
  const words = new Map(warnings.map(({ nodeId, message }) => [nodeId ?? '', message] as const))
  return {
    general,
    nodes: nodes.map((problem) =>
      problem.input === undefined
        ? { ...problem, text: words.get(problem.nodeId) ?? problem.text }
        : problem,
    ),
  }
}

/** Why a job failed, at the node where it did. */
export function jobProblems(job: JobState | undefined): RunProblems {
  if (job?.status !== 'failed') return noProblems
  const text = job.error?.message ?? 'It failed.'
  if (job.endNodeId === undefined) return { nodes: [], general: [text] }
  return { nodes: [{ nodeId: job.endNodeId, text }], general: [] }
}
