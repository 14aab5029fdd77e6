/** A finished job as ComfyUI's history shows it. Pure. */
import type { JobState } from '@comfymesh/protocol/job'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import { errorData, interruptionData } from './messages.ts'

/** `[number, id, prompt, extra_data, outputs]`: a job in ComfyUI's queue. */
export function queueItem({ request }: JobState): JsonValue[] {
  const { number, id, prompt, extraData, outputs } = request
  return [number, id, prompt as unknown as JsonObject, extraData, [...outputs]]
}

export function historyEntry(state: JobState): JsonObject {
  const completed = state.status === 'completed'
  const meta = Object.keys(state.outputs).map((id) => [
    id,
    { node_id: id, display_node: id, parent_node: null, real_node_id: id },
  ])
  return {
    prompt: queueItem(state),
    outputs: { ...state.outputs },
    status: { status_str: completed ? 'success' : 'error', completed, messages: messagesOf(state) },
    meta: Object.fromEntries(meta) as JsonObject,
  }
}

/** The messages that ComfyUI keeps: start, what was cached, and the end. */
function messagesOf(state: JobState): JsonValue[] {
  const prompt_id = state.request.id
  const messages: JsonValue[] = []
  if (state.startedAtMs !== undefined)
    messages.push(['execution_start', { prompt_id, timestamp: state.startedAtMs }])
  if (state.cached !== undefined) {
    const { nodeIds, atMs } = state.cached
    messages.push(['execution_cached', { nodes: [...nodeIds], prompt_id, timestamp: atMs }])
  }
  const timestamp = state.finishedAtMs ?? null
  switch (state.status) {
    case 'completed':
      messages.push(['execution_success', { prompt_id, timestamp }])
      break
    case 'failed':
      messages.push(['execution_error', { ...errorData(state), timestamp }])
      break
    case 'interrupted':
      messages.push(['execution_interrupted', { ...interruptionData(state), timestamp }])
      break
    case 'queued':
    case 'paused':
    case 'running':
      break
  }
  return messages
}
