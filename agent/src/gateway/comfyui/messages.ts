/**
 * Events of jobs as ComfyUI's WebSocket messages, in ComfyUI's order. Pure: who
 * gets a message is for sockets.ts, what happened for the job runner.
 */
import { isFinished, type JobEventOf, type JobState } from '@comfymesh/protocol/job'
import {
  executedNodes,
  failureOf,
  type JobFailure,
  type JobSummary,
  neverBegan,
} from '@comfymesh/protocol/job-summary'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { NodeId } from '@comfymesh/protocol/workflow'
import type { JobUpdate } from '../../execution/live-job.ts'

/**
 * Whom a message is for: every socket, the client that submitted the job, or that
 * client and, where none is named, everybody.
 */
export type Audience = 'everybody' | 'client' | 'client-or-everybody'

export type Message =
  | {
      readonly kind: 'text'
      readonly audience: Audience
      readonly type: string
      readonly data: JsonObject
    }
  | {
      readonly kind: 'preview'
      readonly audience: Audience
      readonly bytes: Uint8Array
      readonly mediaType: 'image/png' | 'image/jpeg'
      readonly metadata: JsonObject
    }

/** @param remaining how many jobs wait or run after the event. */
export function messagesFor(update: JobUpdate, remaining: number): Message[] {
  const { event, state } = update
  const id = state.request.id
  const status = statusMessage(remaining)
  switch (event.type) {
    case 'accepted':
    case 'reordered':
    case 'paused':
      return [status]
    case 'started':
      return [status, stamped('execution_start', { prompt_id: id }, event.atMs)]
    case 'nodes-cached':
      return cachedMessages(state, event)
    case 'node-started':
      return [
        progressState(state),
        toClient('executing', { ...shownAs(event.nodeId), prompt_id: id }),
      ]
    case 'node-progress':
      return progressMessages(update, event)
    case 'node-finished':
      return [...executedMessages(state, event), progressState(state)]
    case 'completed':
    case 'failed':
    case 'interrupted': {
      // It just leaves the queue.
      if (neverBegan(state)) return [status]
      const [how, idle] = ending(state)
      return [how, status, idle]
    }
    case 'planned':
    case 'answered':
    case 'stage-started':
    case 'stage-began':
    case 'stage-finished':
    case 'stage-failed':
    case 'requeued':
    case 'picture-named':
      return []
  }
}

/** All that would have been said of a job up to now; for a client that heard nothing of it. */
export function announcement(state: JobState): Message[] {
  const { request, cached } = state
  const prompt_id = request.id
  const known: Message[] =
    cached === undefined
      ? []
      : [stamped('execution_cached', { nodes: [...cached.nodeIds], prompt_id }, cached.atMs)]
  const [start, ...present] = reminder(state)
  return [start!, ...known, ...state.nodes.flatMap((node) => shownOutput(state, node)), ...present]
}

/** That a job runs and how far it is; for a client that heard of it before, and then of another. */
export function reminder(state: JobState): Message[] {
  const { request, startedAtMs, nodes } = state
  const prompt_id = request.id
  const running = isFinished(state) ? [] : nodes.filter(({ status }) => status === 'running')
  return [
    stamped('execution_start', { prompt_id }, startedAtMs ?? request.createdAtMs),
    ...(nodes.length === 0 ? [] : [progressState(state)]),
    ...running.map(({ nodeId }) => toClient('executing', { ...shownAs(nodeId), prompt_id })),
  ]
}

/** How a job ended, and that nothing of it runs any more. Between the two the queue is told. */
export function ending(state: JobState): [how: Message, idle: Message] {
  const prompt_id = state.request.id
  return [howItEnded(state), toClient('executing', { node: null, prompt_id })]
}

function howItEnded(state: JobState): Message {
  const { status, request, finishedAtMs } = state
  const atMs = finishedAtMs ?? request.createdAtMs
  if (status === 'failed') return stamped('execution_error', errorData(state), atMs)
  if (status === 'interrupted')
    return stamped('execution_interrupted', interruptionData(state), atMs)
  return stamped('execution_success', { prompt_id: request.id }, atMs)
}

export function statusMessage(remaining: number): Message {
  const data = { status: { exec_info: { queue_remaining: remaining } } }
  return { kind: 'text', audience: 'everybody', type: 'status', data }
}

/** What ComfyUI says about a failed job, in its messages and in its history. */
export function errorData(state: JobState): JsonObject {
  return failureData({ ...state, id: state.request.id }, failureOf(state))
}

/** The same, in its list of jobs. */
export function failureData(
  job: Pick<JobSummary, 'id' | 'error'>,
  failure: JobFailure,
): JsonObject {
  const { code, message } = job.error ?? { code: 'internal', message: 'The job failed.' }
  const inputs = Object.entries(failure.constants).map(([name, value]) => [name, [value]])
  return {
    prompt_id: job.id,
    node_id: failure.nodeId,
    node_type: failure.classType,
    executed: [...failure.executed],
    exception_message: `${message}\n`,
    exception_type: code,
    traceback: [],
    current_inputs: Object.fromEntries(inputs),
    current_outputs: [...failure.planned],
  }
}

export function interruptionData(state: JobState): JsonObject {
  const nodeId = state.endNodeId ?? null
  const node = nodeId === null ? undefined : state.request.prompt[nodeId]
  return {
    prompt_id: state.request.id,
    node_id: nodeId,
    node_type: node?.class_type ?? null,
    executed: executedNodes(state),
  }
}

function toClient(type: string, data: JsonObject): Message {
  return { kind: 'text', audience: 'client', type, data }
}

function stamped(type: string, data: JsonObject, timestamp: number): Message {
  return toClient(type, { ...data, timestamp })
}

function shownAs(nodeId: NodeId): JsonObject {
  return { node: nodeId, display_node: nodeId }
}

function cachedMessages(state: JobState, event: JobEventOf<'nodes-cached'>): Message[] {
  const prompt_id = state.request.id
  const messages = [
    stamped('execution_cached', { nodes: [...event.nodeIds], prompt_id }, event.atMs),
  ]
  const shown: NodeId[] = []
  for (const [nodeId, output] of Object.entries(event.outputs)) {
    shown.push(nodeId)
    const nodes = state.nodes.filter((node) => shown.includes(node.nodeId))
    messages.push(
      toClient('executed', { ...shownAs(nodeId), output, prompt_id }),
      progressState({ ...state, nodes }),
    )
  }
  return messages
}

function executedMessages(state: JobState, event: JobEventOf<'node-finished'>): Message[] {
  // A node that turns out to be known already is told as executed, without having run.
  if (event.output === undefined && !event.cached) return []
  const output = event.output ?? null
  const prompt_id = state.request.id
  return [toClient('executed', { ...shownAs(event.nodeId), output, prompt_id })]
}

/** The `executed` of a node that finished, where ComfyUI sends one. */
function shownOutput(state: JobState, node: JobState['nodes'][number]): Message[] {
  const { nodeId, status, cached } = node
  const output = Object.hasOwn(state.outputs, nodeId) ? state.outputs[nodeId]! : null
  if (status !== 'finished' || (output === null && !cached)) return []
  return [toClient('executed', { ...shownAs(nodeId), output, prompt_id: state.request.id })]
}

function progressMessages(update: JobUpdate, event: JobEventOf<'node-progress'>): Message[] {
  const { state, preview } = update
  const { nodeId, value, max } = event
  const prompt_id = state.request.id
  const audience = 'client-or-everybody'
  const data = { value, max, prompt_id, node: nodeId }
  const step: Message = { kind: 'text', audience, type: 'progress', data }
  if (preview === undefined) return [progressState(state), step]
  const { bytes, mediaType } = preview
  const metadata = {
    node_id: nodeId,
    prompt_id,
    display_node_id: nodeId,
    parent_node_id: null,
    real_node_id: nodeId,
    image_type: mediaType,
  }
  const picture: Message = { kind: 'preview', audience, bytes, mediaType, metadata }
  return [progressState(state), picture, step]
}

/** All nodes that run or ran, each time; those that were cached and show nothing are not among them. */
function progressState(state: JobState): Message {
  const prompt_id = state.request.id
  const nodes = state.nodes.map(({ nodeId, value, max, status }) => {
    const ids = { display_node_id: nodeId, parent_node_id: null, real_node_id: nodeId }
    return [nodeId, { value, max, state: status, node_id: nodeId, prompt_id, ...ids }]
  })
  const data = { prompt_id, nodes: Object.fromEntries(nodes) as JsonObject }
  return { kind: 'text', audience: 'client-or-everybody', type: 'progress_state', data }
}
