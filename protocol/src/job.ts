/**
 * A job, from accepted prompt to result: the events of its life and the state
 * they fold into. The agent and the UI fold with the same function.
 */
import { z } from 'zod'
import { type ErrorCode, errorCodes } from './errors.ts'
import type { JsonObject, JsonValue } from './json.ts'
import { type Plan, planSchema } from './plan.ts'
import { promptSchema } from './prompt-schema.ts'
import type { Prompt } from './workflow.ts'

const jsonObject = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
)
const errorReportSchema = z.object({
  code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
  details: z.record(z.string(), z.custom<JsonValue>()),
})

/** What was accepted; of it only the place in the queue ever changes. */
const jobRequestSchema = z.object({
  id: z.string(),
  /** Place in the queue: the lowest (number, id) runs first. */
  number: z.number(),
  /** Validated, its values coerced to their types. */
  prompt: z.custom<Prompt>((value) => promptSchema.safeParse(value).success),
  /** ComfyUI's extra_data, with `client_id` and `create_time`. */
  extraData: jsonObject,
  /** The output nodes to run; others failed validation or were not asked for. */
  outputs: z.array(z.string()),
  createdAtMs: z.number(),
})

/** What a node showed: `{ images: [{ filename, subfolder, type }] }`, `{ text: [...] }`, ... */
const nodeOutputSchema = jsonObject

/** A picture as ComfyUI tells clients of it: what GET /view takes. */
const fileReferenceSchema = z.object({
  filename: z.string(),
  /** Below the folder, with forward slashes; '' for the folder itself. */
  subfolder: z.string(),
  type: z.enum(['output', 'temp']),
})

const event = <T extends string, S extends z.ZodRawShape>(type: T, shape: S) =>
  z.object({ type: z.literal(type), jobId: z.string(), atMs: z.number(), ...shape })

export const jobEventSchema = z.discriminatedUnion('type', [
  event('accepted', { request: jobRequestSchema }),
  /** The job waits at another place of the queue. */
  event('reordered', { number: z.number() }),
  event('started', {}),
  event('planned', { plan: planSchema }),
  /** Results known before anything ran; outputs are those of cached output nodes. */
  event('nodes-cached', {
    nodeIds: z.array(z.string()),
    outputs: z.record(z.string(), nodeOutputSchema),
  }),
  event('node-started', { nodeId: z.string(), peerId: z.string() }),
  event('node-progress', { nodeId: z.string(), value: z.number(), max: z.number() }),
  /**
   * The name under which a picture is about to appear, and the hash of its bytes: after a crash
   * this tells whether the file that lies there is the one that this job saved.
   */
  event('picture-named', {
    nodeId: z.string(),
    /** Which of the node's pictures. */
    index: z.number(),
    file: fileReferenceSchema,
    sha256: z.string(),
  }),
  event('node-finished', {
    nodeId: z.string(),
    cached: z.boolean(),
    elapsedMs: z.number(),
    output: nodeOutputSchema.optional(),
  }),
  event('stage-finished', {
    stageId: z.string(),
    peerId: z.string(),
    /** What computed: 'cpu', 'cuda', ...; absent when no model ran. */
    provider: z.string().optional(),
    sessionMs: z.number(),
    elapsedMs: z.number(),
  }),
  /** An attempt failed in a way that another may not; unfinished nodes run again. */
  event('retried', { error: errorReportSchema }),
  /** The agent stopped while the job ran; it waits in the queue again. */
  event('requeued', {}),
  event('completed', {}),
  event('failed', { error: errorReportSchema, nodeId: z.string().optional() }),
  event('interrupted', { nodeId: z.string().optional() }),
])

export type FileReference = z.infer<typeof fileReferenceSchema>
export type JobRequest = z.infer<typeof jobRequestSchema>
export type JobEvent = z.infer<typeof jobEventSchema>
export type JobEventOf<T extends JobEvent['type']> = Extract<JobEvent, { type: T }>
export type JobStatus = 'queued' | 'running' | 'completed' | 'failed' | 'interrupted'

export interface NodeState {
  readonly status: 'running' | 'finished'
  readonly peerId: string
  readonly value: number
  readonly max: number
  readonly cached: boolean
  /** Absent where the node was known already. */
  readonly startedAtMs?: number
  readonly elapsedMs?: number
}

/** A picture that was about to be saved. */
export interface NamedPicture {
  readonly file: FileReference
  readonly sha256: string
}

export interface StageState {
  readonly stageId: string
  readonly peerId: string
  readonly provider?: string
  readonly sessionMs: number
  readonly elapsedMs: number
}

export interface JobState {
  readonly request: JobRequest
  readonly status: JobStatus
  readonly startedAtMs?: number
  readonly finishedAtMs?: number
  readonly plan?: Plan
  /** Nodes whose results were known before anything ran, and when that was found out. */
  readonly cached?: { readonly nodeIds: readonly string[]; readonly atMs: number }
  /** Nodes that run or ran, in the order in which they started. */
  readonly nodes: readonly (NodeState & { readonly nodeId: string })[]
  readonly stages: readonly StageState[]
  /** What output nodes showed. Kept when a job runs again, so that nothing is saved twice. */
  readonly outputs: { readonly [nodeId: string]: JsonObject }
  /** Pictures that were about to be saved, by node, until their node has finished. */
  readonly named: { readonly [nodeId: string]: readonly NamedPicture[] }
  readonly error?: JobEventOf<'failed'>['error']
  /** The node that failed, or that ran when the job was interrupted. */
  readonly endNodeId?: string
}

/** True once nothing more will happen to the job. */
export function isFinished({ status }: Pick<JobState, 'status'>): boolean {
  return status !== 'queued' && status !== 'running'
}

/**
 * The state after an event. Pure; events after the end change nothing, so a late
 * result of a given-up attempt cannot bring a finished job back.
 * @throws Error when the first event is not `accepted`.
 */
export function foldJob(state: JobState | undefined, event: JobEvent): JobState {
  if (state === undefined) {
    if (event.type !== 'accepted') throw new Error(`job ${event.jobId} begins with ${event.type}`)
    return fresh(event.request)
  }
  if (isFinished(state) || event.type === 'accepted') return state
  if (event.type === 'requeued') {
    const { request, outputs, named } = state
    return { ...fresh(request), outputs, named }
  }
  return { ...state, ...changes(state, event) }
}

function fresh(request: JobRequest): JobState {
  return { request, status: 'queued', nodes: [], stages: [], outputs: {}, named: {} }
}

type Change = Exclude<JobEvent, JobEventOf<'accepted' | 'requeued'>>

function changes(state: JobState, event: Change): Partial<JobState> {
  switch (event.type) {
    case 'reordered':
      return { request: { ...state.request, number: event.number } }
    case 'started':
      return { status: 'running', startedAtMs: event.atMs }
    case 'planned':
      return { plan: event.plan }
    case 'nodes-cached':
      return {
        cached: { nodeIds: event.nodeIds, atMs: event.atMs },
        outputs: { ...state.outputs, ...event.outputs },
        nodes: Object.keys(event.outputs).reduce(finishCached, state.nodes),
      }
    case 'retried':
      return { nodes: state.nodes.filter((node) => node.cached), stages: [] }
    case 'stage-finished':
      return { stages: [...state.stages.filter(isOther(event)), stageOf(event)] }
    case 'completed':
      return { status: 'completed', finishedAtMs: event.atMs }
    case 'failed':
      return { status: 'failed', finishedAtMs: event.atMs, error: event.error, ...endNode(event) }
    case 'interrupted':
      return { status: 'interrupted', finishedAtMs: event.atMs, ...endNode(event) }
    default:
      return nodeChanges(state, event)
  }
}

type NodeEvent = JobEventOf<'node-started' | 'node-progress' | 'picture-named' | 'node-finished'>

function nodeChanges(state: JobState, event: NodeEvent): Partial<JobState> {
  const before = state.nodes.find((node) => node.nodeId === event.nodeId)
  switch (event.type) {
    case 'node-started': {
      const { nodeId, peerId, atMs } = event
      return { nodes: put(state.nodes, { ...idle(nodeId), peerId, startedAtMs: atMs }) }
    }
    case 'node-progress':
      if (before === undefined) return {}
      return { nodes: put(state.nodes, { ...before, value: event.value, max: event.max }) }
    case 'picture-named': {
      const { nodeId, index, file, sha256 } = event
      // A list of its own: a node may well be called `constructor`.
      const before = Object.hasOwn(state.named, nodeId) ? state.named[nodeId]! : []
      const pictures = [...before]
      pictures[index] = { file, sha256 }
      return { named: { ...state.named, [nodeId]: pictures } }
    }
    case 'node-finished': {
      const { [event.nodeId]: _named, ...named } = state.named
      const node = before ?? idle(event.nodeId)
      const { cached, elapsedMs } = event
      const finished = { ...node, status: 'finished', value: node.max, cached, elapsedMs } as const
      return {
        nodes: put(state.nodes, finished),
        named,
        ...(event.output && { outputs: { ...state.outputs, [event.nodeId]: event.output } }),
      }
    }
  }
}

type Nodes = JobState['nodes']

function idle(nodeId: string): Nodes[number] {
  return { nodeId, status: 'running', peerId: '', value: 0, max: 1, cached: false }
}

function finishCached(nodes: Nodes, nodeId: string): Nodes {
  return put(nodes, { ...idle(nodeId), status: 'finished', value: 1, cached: true })
}

/** Replaces the node where it stands, or appends it. */
function put(nodes: Nodes, node: Nodes[number]): Nodes {
  const at = nodes.findIndex(({ nodeId }) => nodeId === node.nodeId)
  return at < 0 ? [...nodes, node] : nodes.with(at, node)
}

/** Told twice, an event changes nothing: streams of events may repeat some. */
const isOther =
  ({ stageId }: JobEventOf<'stage-finished'>) =>
  (stage: StageState) =>
    stage.stageId !== stageId

function stageOf(event: JobEventOf<'stage-finished'>): StageState {
  const { stageId, peerId, provider, sessionMs, elapsedMs } = event
  return { stageId, peerId, ...(provider && { provider }), sessionMs, elapsedMs }
}

function endNode(event: JobEventOf<'failed' | 'interrupted'>): { endNodeId?: string } {
  return event.nodeId === undefined ? {} : { endNodeId: event.nodeId }
}
