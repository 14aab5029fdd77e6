/**
 * A job as lists show it, without its workflow: small enough that a page of them is read at once,
 * however many jobs there are and whatever they carry. Pure.
 */
import type { JobState, JobStatus } from './job.ts'
import { filesOf, type JobFile, type ShownOutputs, shownOutputs } from './job-outputs.ts'
import type { JsonObject, JsonValue } from './json.ts'
import { type PromptSummary, summarisePrompt } from './prompt-summary.ts'
import { isLink, type NodeId } from './workflow.ts'

/** What lists are filtered and sorted by. */
export interface JobEntry {
  readonly id: string
  readonly status: JobStatus
  readonly createdAtMs: number
  /** Absent where a job waits, or was cancelled while it did. */
  readonly startedAtMs?: number
  readonly finishedAtMs?: number
}

export interface JobSummary extends JobEntry {
  /** Place in the queue. */
  readonly number: number
  /** By which the frontend knows the workflow that the prompt was made of. */
  readonly workflowId: JsonValue | undefined
  readonly prompt: PromptSummary
  /** The files that it made. */
  readonly files: readonly JobFile[]
  readonly shown: ShownOutputs
  readonly error?: JobState['error']
  /** What a paused job waits to be told. */
  readonly question?: string
  /** Only of a job that failed. */
  readonly failure?: JobFailure
}

/** Where a job failed, and how far it had come. */
export interface JobFailure {
  readonly nodeId: NodeId | null
  readonly classType: string | null
  /** The inputs of the node that are no links. */
  readonly constants: JsonObject
  /** Nodes that ran to their end. */
  readonly executed: readonly NodeId[]
  readonly planned: readonly NodeId[]
}

/** Longer texts are cut in a summary; the job itself has all of them. */
const MAX_TEXT_LENGTH = 4096

export function entryOf({ request, status, startedAtMs, finishedAtMs }: JobState): JobEntry {
  return {
    id: request.id,
    status,
    createdAtMs: request.createdAtMs,
    ...(startedAtMs !== undefined && { startedAtMs }),
    ...(finishedAtMs !== undefined && { finishedAtMs }),
  }
}

export function summariseJob(state: JobState): JobSummary {
  const { request, status, error, outputs, pause } = state
  const prompt = summarisePrompt(request.prompt)
  return {
    ...entryOf(state),
    number: request.number,
    // Of a job that waits, the workflow is parsed whenever somebody looks into it.
    get workflowId() {
      return workflowIdOf(request.extraData)
    },
    prompt: { ...prompt, text: prompt.text.slice(0, MAX_TEXT_LENGTH) },
    files: filesOf(outputs),
    shown: shownOutputs(outputs),
    ...(error !== undefined && { error }),
    ...(pause !== undefined && { question: pause.question }),
    ...(status === 'failed' && { failure: shortened(failureOf(state)) }),
  }
}

export function failureOf(state: JobState): JobFailure {
  const { request, endNodeId, plan } = state
  const nodeId = endNodeId ?? request.outputs[0] ?? null
  const node = nodeId === null ? undefined : request.prompt[nodeId]
  const constants = Object.entries(node?.inputs ?? {}).filter(([, value]) => !isLink(value))
  return {
    nodeId,
    classType: node?.class_type ?? null,
    constants: Object.fromEntries(constants) as JsonObject,
    executed: executedNodes(state),
    planned: plan?.stages.flatMap(({ nodes }) => nodes.map(({ id }) => id)) ?? [],
  }
}

/** Nodes that ran to their end; those that were known already did not run. */
export function executedNodes({ nodes }: JobState): NodeId[] {
  const executed = nodes.filter(({ status, cached }) => status === 'finished' && !cached)
  return executed.map(({ nodeId }) => nodeId)
}

/** How long a job ran; 0 where it did not begin, or has not ended. */
export function durationMs({ startedAtMs, finishedAtMs }: JobEntry): number {
  return startedAtMs && finishedAtMs ? finishedAtMs - startedAtMs : 0
}

/** Whether a job was cancelled while it waited. */
export function neverBegan({ status, startedAtMs }: Pick<JobEntry, 'status' | 'startedAtMs'>) {
  return status === 'interrupted' && startedAtMs === undefined
}

function shortened(failure: JobFailure): JobFailure {
  const constants = Object.entries(failure.constants).map(([name, value]) => {
    const isLong = typeof value === 'string' && value.length > MAX_TEXT_LENGTH
    return [name, isLong ? value.slice(0, MAX_TEXT_LENGTH) : value]
  })
  return { ...failure, constants: Object.fromEntries(constants) }
}

/** Where the frontend writes it: `extra_pnginfo.workflow.id`. */
function workflowIdOf(extraData: JsonObject): JsonValue | undefined {
  const member = (value: JsonValue | undefined, key: string) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? value[key] : undefined
  return member(member(extraData.extra_pnginfo, 'workflow'), 'id')
}
