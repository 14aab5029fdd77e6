/** The HTTP client of one agent: what the commands ask of it. */
import { hostname, networkInterfaces } from 'node:os'
import { agentStateSchema } from '@comfymesh/protocol/agent-state'
import { foldJob, isFinished, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { NodeErrors, Refusal } from '@comfymesh/protocol/refusal'
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import type { AgentSettings } from '../agent.ts'
import { isLoopback } from '../gateway/edge.ts'
import { readAccessToken } from '../store/access-token.ts'

/** Where an agent is reached, and what it wants to see of who asks. */
export interface AgentAddress {
  readonly url: string
  readonly token?: string
}

/** The agent that these settings describe, as a client on the same machine reaches it. */
export function localAgent(settings: AgentSettings): AgentAddress {
  const { host, dataDir, token: given } = settings
  const token = given || (isThisMachine(host) ? readAccessToken(dataDir) : undefined)
  return { url: localUrl(settings), ...(token !== undefined && { token }) }
}

/** Another machine must not learn the token of this one. */
function isThisMachine(host: string): boolean {
  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const own = ['0.0.0.0', '::', hostname(), ...interfaces.map(({ address }) => address)]
  return isLoopback(host) || own.includes(host.replace(/^\[|\]$/g, ''))
}

/** Where an agent listens, as a client on the same machine reaches it. */
function localUrl({ host, port }: Pick<AgentSettings, 'host' | 'port'>): string {
  const reachable = { '0.0.0.0': '127.0.0.1', '::': '[::1]' }[host] ?? host
  const isBareIpv6 = reachable.includes(':') && !reachable.startsWith('[')
  return `http://${isBareIpv6 ? `[${reachable}]` : reachable}:${port}`
}

/** An agent on this machine answers at once or is not there. */
const HEALTH_TIMEOUT_MS = 2000

export type Health = { readonly [key: string]: JsonValue }

/** What the agent at `url` says about itself; undefined when no agent answers there. */
export async function agentHealth(url: string): Promise<Health | undefined> {
  try {
    const response = await fetch(`${url}/health`, {
      signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS),
    })
    const health = response.ok ? parseJson(await response.text()) : undefined
    const isAgent = isObject(health) && typeof health.version === 'string'
    return isAgent ? health : undefined
  } catch {
    return undefined
  }
}

/**
 * A request to an agent that was there a moment ago.
 * @throws Error saying that it is not, or that it asks for another token.
 */
export async function request(
  { url, token }: AgentAddress,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const headers = new Headers(init.headers)
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  const response = await fetch(url + path, { ...init, headers }).catch((cause) => {
    throw new Error(`The agent at ${url} does not answer any more.`, { cause })
  })
  if (response.status !== 401) return response
  throw new Error(
    `The agent at ${url} asks for ${token === undefined ? 'its' : 'another'} token. Give it with --token, ` +
      'or name its data folder with --data-dir; where the agent runs, `comfymesh token` prints it.',
  )
}

/**
 * A request to one of our own routes, under /v1.
 * @returns the agent's answer. @throws RequestRefused with the agent's reason when it refuses.
 */
export async function requestJson(
  agent: AgentAddress,
  path: string,
  init?: RequestInit,
): Promise<JsonObject> {
  const response = await request(agent, path, init)
  const text = await response.text()
  if (response.ok) return parseJson(text) as JsonObject
  const { message, details } = reasonIn(text)
  throw new RequestRefused(
    message ?? `The agent at ${agent.url} answered ${response.status}.`,
    details,
  )
}

function reasonIn(text: string): { message?: string; details?: JsonObject } {
  try {
    const { message, details } = (parseJson(text) as { error: JsonObject }).error
    return {
      ...(typeof message === 'string' && { message }),
      ...(isObject(details) && { details }),
    }
  } catch {
    return {}
  }
}

/** Why one of our own routes refused. */
export class RequestRefused extends Error {
  readonly details: JsonObject

  constructor(message: string, details: JsonObject = {}) {
    super(message)
    this.details = details
  }
}

export class PromptRefused extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.error.message)
    this.refusal = refusal
  }
}

export interface SubmittedJob {
  readonly id: string
  /** Outputs of the prompt that do not run because they failed validation. */
  readonly skipped: NodeErrors
}

/** What is to run, and the drawing that its pictures are to carry. */
export interface Submitted {
  readonly prompt: Prompt
  readonly workflow?: JsonObject
  /** What else it says beside the prompt, such as where it is to run. */
  readonly extraData?: JsonObject
}

/** @throws PromptRefused when validation found nothing that can run. */
export async function submitPrompt(
  agent: AgentAddress,
  { prompt, workflow, extraData = {} }: Submitted,
): Promise<SubmittedJob> {
  const extra_data = { ...extraData, ...(workflow && { extra_pnginfo: { workflow } }) }
  const response = await request(agent, '/prompt', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: stringifyJson({ prompt, extra_data, client_id: 'comfymesh-cli' }),
  })
  const body = asObject(parseJson(await response.text()))
  if (response.status === 400) throw new PromptRefused(body as unknown as Refusal)
  if (!response.ok) throw unexpected('POST /prompt', response.status)
  return {
    id: String(body.prompt_id),
    skipped: (body.node_errors ?? {}) as unknown as NodeErrors,
  }
}

/**
 * Follows a job to its end.
 * @param listener hears the state after each event; the first time without an event.
 * @returns the final state.
 */
export async function followJob(
  agent: AgentAddress,
  id: string,
  listener: (state: JobState, event?: JobEvent) => void,
): Promise<JobState> {
  const response = await request(agent, `/v1/jobs/${id}/events`)
  if (!response.ok || response.body === null)
    throw unexpected('The events of a job', response.status)
  let state: JobState | undefined
  try {
    for await (const { name, data } of serverSentEvents(response.body)) {
      const event = name === 'event' ? (data as unknown as JobEvent) : undefined
      state = event ? foldJob(state, event) : (data as unknown as JobState)
      listener(state, event)
    }
  } catch (cause) {
    throw stoppedEarly(agent, cause)
  }
  if (state === undefined || !isFinished(state)) throw stoppedEarly(agent)
  return state
}

const stoppedEarly = ({ url }: AgentAddress, cause?: unknown) =>
  new Error(
    `The agent at ${url} stopped before the job had ended. It goes on when the agent starts again.`,
    {
      cause,
    },
  )

async function* serverSentEvents(body: ReadableStream<Uint8Array>) {
  let text = ''
  const decoder = new TextDecoder()
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop()!
    for (const block of blocks) {
      const name = /^event: (.*)$/m.exec(block)?.[1]
      const data = /^data: (.*)$/m.exec(block)?.[1]
      if (name !== undefined && data !== undefined) yield { name, data: parseJson(data) }
    }
  }
}

/** Cancels a job, whether it waits or runs. */
export async function cancelJob(agent: AgentAddress, id: string): Promise<void> {
  const post = (path: string, body: JsonValue) =>
    request(agent, path, { method: 'POST', body: stringifyJson(body) })
  await post('/queue', { delete: [id] })
  await post('/interrupt', { prompt_id: id })
}

export async function nodeDefinitions(agent: AgentAddress): Promise<NodeDefinitions> {
  const response = await request(agent, '/object_info')
  if (!response.ok) throw unexpected('GET /object_info', response.status)
  return parseJson(await response.text()) as unknown as NodeDefinitions
}

/** A file that a job made, as ComfyUI names it. */
export interface MadeFile {
  readonly filename: string
  readonly subfolder: string
  readonly type: string
}

export async function fetchMadeFile(agent: AgentAddress, file: MadeFile): Promise<Buffer> {
  const query = new URLSearchParams({ ...file })
  const response = await request(agent, `/view?${query}`)
  if (!response.ok) throw unexpected(`The picture ${file.filename}`, response.status)
  return Buffer.from(await response.arrayBuffer())
}

/** Where the agent keeps what SaveImage nodes make, on its own machine. */
export async function outputFolder(agent: AgentAddress): Promise<string> {
  const { folders } = agentStateSchema.parse(await requestJson(agent, '/v1/agent'))
  return folders.find(({ what }) => what === 'Pictures')?.path ?? ''
}

const unexpected = (what: string, status: number) =>
  new Error(`${what}: the agent answered ${status}. Is it of another version?`)

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const asObject = (value: JsonValue): JsonObject => (isObject(value) ? value : {})
