/** What the commands about the mesh ask of the agent that runs on this machine. */
import { MeshError } from '@comfymesh/protocol/errors'
import { type JsonValue, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { z } from 'zod'
import type { AgentSettings } from '../agent.ts'
import { type AgentAddress, agentHealth, localAgent, request } from './agent-client.ts'

/** The agent that runs with these settings, if one does. */
export async function runningAgent(settings: AgentSettings): Promise<AgentAddress | undefined> {
  const agent = localAgent(settings)
  return (await agentHealth(agent.url)) === undefined ? undefined : agent
}

/** @throws MeshError `mesh_unavailable` saying how to start it. */
export async function neededAgent(settings: AgentSettings): Promise<AgentAddress> {
  const agent = await runningAgent(settings)
  if (agent !== undefined) return agent
  const message = `No agent is running at ${localAgent(settings).url}. Start it with \`comfymesh start\`, or name its --port or --data-dir.`
  throw new MeshError('mesh_unavailable', message)
}

const failureSchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    details: z.record(z.string(), z.unknown()).default({}),
  }),
})

/** @throws MeshError as the agent says it. */
export async function askMesh<T>(
  agent: AgentAddress,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  schema: z.ZodType<T>,
  body?: JsonValue,
): Promise<T> {
  const init = { method, ...(body !== undefined && { body: stringifyJson(body) }) }
  const response = await request(agent, `/v1/mesh/${path}`, init)
  const text = await response.text()
  if (response.ok) return schema.parse(parseJson(text))
  const isJson = (response.headers.get('content-type') ?? '').startsWith('application/json')
  const failure = failureSchema.safeParse(isJson ? parseJson(text) : undefined)
  if (failure.success) throw MeshError.fromWire(failure.data.error)
  throw new Error(`The agent at ${agent.url} answered ${response.status}: ${text}`)
}
