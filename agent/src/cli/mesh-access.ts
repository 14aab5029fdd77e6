/** What the commands about the mesh ask of the agent that runs on this machine. */
import { MeshError } from '@comfymesh/protocol/errors'
import { type JsonValue, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { z } from 'zod'
import { type AgentAddress, request } from './agent-client.ts'

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
