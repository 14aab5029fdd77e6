/** What the `queue` command asks of an agent. */
import type { JsonObject } from '@comfymesh/protocol/json'
import { stringifyJson } from '@comfymesh/protocol/json'
import { type AgentAddress, requestJson } from './agent-client.ts'

export interface QueuedJob {
  readonly id: string
  readonly status: 'queued' | 'paused' | 'running'
  /** Of a paused job: what its user is asked. */
  readonly question?: string
  readonly priority: number
  readonly estimateMs: number | null
  /** Of a job that waits. */
  readonly startsInMs?: number | null
  /** Of a job that runs. */
  readonly remainingMs?: number | null
}

/** The agent's answer to GET /v1/queue, of which this is what is read here. */
export interface Queue {
  readonly paused: boolean
  readonly pausedAtMs?: number
  readonly summary: string
  readonly jobs: readonly QueuedJob[]
}

export async function readQueue(agent: AgentAddress): Promise<Queue> {
  return (await requestJson(agent, '/v1/queue')) as unknown as Queue
}

/** @returns the agent's answer. @throws Error with the agent's reason when it refuses. */
export function changeQueue(
  agent: AgentAddress,
  change: string,
  body: JsonObject = {},
): Promise<JsonObject> {
  return requestJson(agent, `/v1/queue/${change}`, { method: 'POST', body: stringifyJson(body) })
}
