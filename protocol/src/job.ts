/**
 * A job, from accepted prompt to result: the events of its life and the state
 * they fold into. The agent and the UI fold with the same function.
 */
import { z } from 'zod'
import { type ErrorCode, errorCodes } from './errors.ts'
import {
  giveUp,
  isDone,
  isNotIn,
  isNotPlanned,
  type StageAttempt,
  type StageState,
  stageChanges,
} from './job-stages.ts'
import { type JsonObject, type JsonValue, stringifyJson } from './json.ts'
import { type Plan, type PlanOptions, planOptionsOf, planSchema } from './plan.ts'
import { promptSchema } from './prompt-schema.ts'
import { valueReferenceSchema } from './value.ts'
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

/** Run it as proposed, not at all, or on another peer than was asked for (its name or id). */
export const answerSchema = z.union([
  z.enum(['go', 'cancel']),
  z.strictObject({ peer: z.string().min(1) }),
])

/** Times and bytes that earlier releases did not measure. */
const measure = z.number().default(0)

const event = <T extends string, S extends z.ZodRawShape>(type: T, shape: S) =>
  z.object({ type: z.literal(type), jobId: z.string(), atMs: z.number(), ...shape })

export const jobEventSchema = z.discriminatedUnion('type', [
  event('accepted', { request: jobRequestSchema }),
  /** The job waits at another place of the queue. */
  event('reordered', { number: z.number() }),
  event('started', {}),
  /** Again whenever what is left of the job is planned anew. */
  event('planned', { plan: planSchema }),
  /** Where it is to run is for the user to decide; until then the job holds no place to run. */
  event('paused', { question: z.string(), plan: planSchema }),
  event('answered', { answer: answerSchema }),
  /** Results known before anything ran; outputs are those of cached output nodes. */
  event('nodes-cached', {
    nodeIds: z.array(z.string()),
    outputs: z.record(z.string(), nodeOutputSchema),
    /** By node, what it ignored when it ran: their results still lack it. */
    warnings: z.record(z.string(), z.array(z.string()).readonly()).optional(),
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
    /** What it ignored though it went on, such as an embedding that is missing. */
    warnings: z.array(z.string()).readonly().optional(),
  }),
  /** A stage was sent to a peer. */
  event('stage-started', { stageId: z.string(), peerId: z.string(), attemptId: z.string() }),
  /** Its inputs are there and it computes. */
  event('stage-began', { stageId: z.string(), attemptId: z.string() }),
  event('stage-finished', {
    stageId: z.string(),
    peerId: z.string(),
    attemptId: z.string().default(''),
    /** What computed: 'cpu', 'cuda', ...; absent when no model ran. */
    provider: z.string().optional(),
    sessionMs: z.number(),
    /** From the moment in which it was sent. */
    elapsedMs: z.number(),
    /** Behind other stages of the peer. */
    waitMs: measure,
    /** Waiting for its inputs to come over the network. */
    transferMs: measure,
    /** Bytes of inputs that came from other peers. */
    transferBytes: measure,
    /** Running its nodes, loading of models included. */
    computeMs: measure,
    /** What it made for other stages, and who holds it. */
    values: z.array(valueReferenceSchema).default([]),
  }),
  /** An attempt failed. What comes next says whether another follows: a plan, or the job's end. */
  event('stage-failed', {
    stageId: z.string(),
    peerId: z.string(),
    attemptId: z.string(),
    error: errorReportSchema,
    /** Whose fault it was: a peer that handed out wrong bytes fails the stage of another. */
    blamedPeerId: z.string(),
  }),
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
export type JobAnswer = z.infer<typeof answerSchema>

const unfinishedStatuses = ['queued', 'paused', 'running'] as const
const finishedStatuses = ['completed', 'failed', 'interrupted'] as const
export const jobStatuses = [...unfinishedStatuses, ...finishedStatuses] as const
export type JobStatus = (typeof jobStatuses)[number]

export interface NodeState {
  readonly status: 'running' | 'finished'
  readonly peerId: string
  readonly value: number
  readonly max: number
  readonly cached: boolean
  /** Absent where the node was known already. */
  readonly startedAtMs?: number
  readonly elapsedMs?: number
  /** What it ignored though it went on. */
  readonly warnings?: readonly string[]
}

/** A picture that was about to be saved. */
export interface NamedPicture {
  readonly file: FileReference
  readonly sha256: string
}

export interface PlanVersion {
  readonly plan: Plan
  readonly plannedAtMs: number
}

/** What the user is asked, and the plan that runs when the answer is `go`. */
export interface Pause {
  readonly question: string
  readonly plan: Plan
  readonly atMs: number
}

export interface JobState {
  readonly request: JobRequest
  readonly status: JobStatus
  readonly startedAtMs?: number
  readonly finishedAtMs?: number
  /** Where it runs, or what is left of it since something failed. */
  readonly plan?: Plan
  readonly plannedAtMs?: number
  /** Plans that others have replaced, the oldest first. */
  readonly earlierPlans: readonly PlanVersion[]
  /** Only of a paused job. */
  readonly pause?: Pause
  /** What the planner is asked for since an answer changed what the prompt asks for. */
  readonly options?: PlanOptions
  /** Nodes whose results were known before anything ran, and when that was found out. */
  readonly cached?: {
    readonly nodeIds: readonly string[]
    readonly atMs: number
    /** By node, what it ignored when it ran. */
    readonly warnings?: { readonly [nodeId: string]: readonly string[] }
  }
  /** Nodes that run or ran, in the order in which they started. */
  readonly nodes: readonly (NodeState & { readonly nodeId: string })[]
  /** Every attempt at every stage, in the order in which they were sent. */
  readonly attempts: readonly StageAttempt[]
  /** The stages that finished, each once. */
  readonly stages: readonly StageState[]
  /** Bytes of values that went from one peer to another for it. */
  readonly transferBytes: number
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
  return (finishedStatuses as readonly JobStatus[]).includes(status)
}

/** Every plan that the job had, the oldest first. */
export function plansOf({ earlierPlans, plan, plannedAtMs = 0 }: JobState): PlanVersion[] {
  return [...earlierPlans, ...(plan === undefined ? [] : [{ plan, plannedAtMs }])]
}

/** What the job asks of the planner: its prompt, and what the user answered since. */
export function optionsOf({ options, request }: JobState): PlanOptions {
  return options ?? planOptionsOf(request.extraData)
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
    return { ...fresh(state.request), ...lasting(state) }
  }
  const { pause, ...changed } = { ...state, ...changes(state, event) }
  return pause !== undefined && changed.status === 'paused' ? { ...changed, pause } : changed
}

function fresh(request: JobRequest): JobState {
  return { request, status: 'queued', ...nothingRan, outputs: {}, named: {} }
}

/** A job of which nothing was sent anywhere. */
export const nothingRan = {
  earlierPlans: [],
  nodes: [],
  attempts: [],
  stages: [],
  transferBytes: 0,
} as const satisfies Partial<JobState>

/** What a restart does not undo: other peers go on, and hold what they made. */
function lasting(state: JobState): Partial<JobState> {
  const { plan, plannedAtMs, earlierPlans, attempts, stages, transferBytes } = state
  const { options, outputs, named } = state
  const kept = { earlierPlans, attempts, stages, transferBytes, outputs, named }
  return {
    ...kept,
    ...(plan !== undefined && { plan }),
    ...(plannedAtMs !== undefined && { plannedAtMs }),
    ...(options !== undefined && { options }),
  }
}

type Change = Exclude<JobEvent, JobEventOf<'accepted' | 'requeued'>>

function changes(state: JobState, event: Change): Partial<JobState> {
  switch (event.type) {
    case 'reordered':
      return { request: { ...state.request, number: event.number } }
    case 'started':
      return { status: 'running', startedAtMs: event.atMs }
    case 'planned': {
      if (isTold(state, event)) return {}
      const attempts = giveUp(state.attempts, event.atMs, isNotIn(event.plan))
      return {
        plan: event.plan,
        plannedAtMs: event.atMs,
        earlierPlans: plansOf(state),
        attempts,
        // What is to be made again, because nobody holds it any more, is not finished.
        stages: state.stages.filter(isNotPlanned(event.plan)),
        nodes: state.nodes.filter(isDone(event.plan, attempts)),
      }
    }
    case 'paused': {
      const { question, plan, atMs } = event
      // What still runs is cancelled: nobody waits for it while the user thinks.
      return {
        status: 'paused',
        pause: { question, plan, atMs },
        attempts: giveUp(state.attempts, atMs),
      }
    }
    case 'answered':
      return answered(state, event.answer)
    case 'nodes-cached':
      return {
        cached: {
          nodeIds: event.nodeIds,
          atMs: event.atMs,
          ...(event.warnings && { warnings: event.warnings }),
        },
        outputs: { ...state.outputs, ...event.outputs },
        nodes: Object.keys(event.outputs).reduce(finishCached, state.nodes),
      }
    case 'stage-started':
    case 'stage-began':
    case 'stage-finished':
    case 'stage-failed':
      return stageChanges(state, event)
    case 'completed':
    case 'failed':
    case 'interrupted':
      return {
        status: event.type,
        finishedAtMs: event.atMs,
        attempts: giveUp(state.attempts, event.atMs),
        ...(event.type === 'failed' && { error: event.error }),
        ...(event.type !== 'completed' && endNode(event)),
      }
    default:
      return nodeChanges(state, event)
  }
}

/** Streams of events may repeat some. */
function isTold({ plan, plannedAtMs }: JobState, event: JobEventOf<'planned'>): boolean {
  if (plan === undefined || plannedAtMs !== event.atMs) return false
  return stringifyJson(plan) === stringifyJson(event.plan)
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
      const { cached, elapsedMs, warnings } = event
      const told = { cached, elapsedMs, ...(warnings && { warnings }) }
      const finished = { ...node, status: 'finished', value: node.max, ...told } as const
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

/** The job waits in the queue again; a job that is to be cancelled is interrupted next. */
function answered(state: JobState, answer: JobAnswer): Partial<JobState> {
  if (state.pause === undefined || answer === 'cancel') return {}
  const { unmet = [] } = state.pause.plan
  const options = optionsOf(state)
  const met = Object.entries(options.affinity).filter(([key]) => !unmet.includes(key))
  const rebound = answer === 'go' ? [] : unmet.map((key) => [key, answer.peer] as const)
  const affinity = Object.fromEntries([...met, ...rebound])
  return {
    status: 'queued',
    options: { ...options, affinity, ...(answer === 'go' && { fallback: 'auto' }) },
  }
}

function endNode(event: JobEventOf<'failed' | 'interrupted'>): { endNodeId?: string } {
  return event.nodeId === undefined ? {} : { endNodeId: event.nodeId }
}
