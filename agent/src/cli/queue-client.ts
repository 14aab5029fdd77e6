/** What the `queue` command asks of an agent. */
import type { JsonObject } from '@comfymesh/protocol/json'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { type AgentAddress, request } from './agent-client.ts'

export interface QueuedJob {
  readonly id: string
  readonly status: 'queued' | 'running'
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
  return (await ask(agent, '/v1/queue')) as unknown as Queue
}

/** @returns the agent's answer. @throws Error with the agent's reason when it refuses. */
export function changeQueue(
  agent: AgentAddress,
  change: string,
  body: JsonObject = {},
): Promise<JsonObject> {
  return ask(agent, `/v1/queue/${change}`, { method: 'POST', body: stringifyJson(body) })
}

async function ask(agent: AgentAddress, path: string, init?: RequestInit): Promise<JsonObject> {
  const response = await request(agent, path, init)
  const text = await response.text()
  if (response.ok) return parseJson(text) as JsonObject
  throw new Error(reasonIn(text) ?? `The agent at ${agent.url} answered ${response.status}.`)
}

function reasonIn(text: string): string | undefined {
  try {
    const { message } = (JSON.parse(text) as { error: { message?: unknown } }).error
    return typeof message === 'string' ? message : undefined
  } catch {
    return undefined
  }
}
