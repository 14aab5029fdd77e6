/** Agents for tests: their own folders, a free port, and clients that speak to them as users' do. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type JsonObject, parseJson } from '@comfymesh/protocol/json'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { type Agent, type AgentSettings, startAgent } from '../src/agent.ts'
import type { Executor } from '../src/executors/executor.ts'
import { createLog } from '../src/telemetry/log.ts'

export function testSettings(dataDir: string): AgentSettings {
  return {
    name: 'test',
    dataDir,
    host: '127.0.0.1',
    port: 0,
    folders: {
      models: {
        checkpoints: [join(dataDir, 'models', 'checkpoints')],
        loras: [],
        vae: [],
        embeddings: [],
      } as unknown as AgentSettings['folders']['models'],
      input: join(dataDir, 'input'),
      output: join(dataDir, 'output'),
      temp: join(dataDir, 'temp'),
    },
    userDir: join(dataDir, 'user'),
  }
}

/** A running agent that stops with the test. */
export async function startTestAgent(
  t: Test,
  executor: Executor,
  dataDir: string = t.testdir(),
  settings: Partial<AgentSettings> = {},
): Promise<Agent & { readonly dataDir: string }> {
  mkdirSync(dataDir, { recursive: true })
  const log = createLog({ level: 'silent' })
  const agent = await startAgent({ ...testSettings(dataDir), ...settings }, { executor, log })
  t.teardown(() => agent.stop())
  return { ...agent, dataDir }
}

export interface HttpAnswer {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly body: JsonObject
}

/** A request as a script sends it; an object becomes JSON. */
export async function ask(
  agent: { readonly url: string },
  method: string,
  path: string,
  body?: string | object,
  headers: Record<string, string> = {},
): Promise<HttpAnswer> {
  const content = typeof body === 'object' ? JSON.stringify(body) : body
  const init = { method, headers, ...(content !== undefined && { body: content }) }
  const response = await fetch(agent.url + path, init)
  const type = response.headers.get('content-type') ?? ''
  const text = await response.text()
  const parsed = type.startsWith('application/json') ? parseJson(text) : {}
  return { status: response.status, type, text, body: parsed as JsonObject }
}

export interface SocketMessage {
  readonly type: string
  readonly data: JsonObject
}

export interface TestSocket {
  readonly messages: SocketMessage[]
  /** Resolves with the first message, past or future, that fits. */
  until(fits: (message: SocketMessage) => boolean): Promise<SocketMessage>
  send(message: object): void
  close(): void
}

/** A WebSocket client; binary messages appear as type `binary-<event>` with what they hold. */
export async function connect(
  t: Test,
  agent: { readonly url: string },
  query = '',
): Promise<TestSocket> {
  const socket = new WebSocket(`${agent.url.replace('http', 'ws')}/ws${query}`)
  const messages: SocketMessage[] = []
  const waiting = new Set<() => void>()
  socket.on('message', (data: Buffer, isBinary) => {
    messages.push(isBinary ? binaryMessage(data) : JSON.parse(String(data)))
    for (const check of waiting) check()
  })
  t.teardown(() => socket.close())
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  return {
    messages,
    send: (message) => socket.send(JSON.stringify(message)),
    close: () => socket.close(),
    until: (fits) =>
      new Promise((resolve) => {
        const check = () => {
          const found = messages.find(fits)
          if (found === undefined) return
          waiting.delete(check)
          resolve(found)
        }
        waiting.add(check)
        check()
      }),
  }
}

function binaryMessage(data: Buffer): SocketMessage {
  const event = data.readUInt32BE(0)
  const second = data.readUInt32BE(4)
  if (event !== 4) return { type: `binary-${event}`, data: { format: second } }
  const metadata = JSON.parse(data.subarray(8, 8 + second).toString())
  return {
    type: 'binary-4',
    data: { ...metadata, head: data.subarray(8 + second).toString('hex', 0, 4) },
  }
}

/** The message that ends a job for its client. */
export function isEnd(promptId: string): (message: SocketMessage) => boolean {
  return ({ type, data }) =>
    type === 'executing' && data.node === null && data.prompt_id === promptId
}

/** Waits until a job is in the history. */
export async function finished(agent: { readonly url: string }, id: string): Promise<JsonObject> {
  // Ends with the job; asking again and again would take from its processor.
  await (await fetch(`${agent.url}/v1/jobs/${id}/events`)).arrayBuffer()
  for (;;) {
    const { body } = await ask(agent, 'GET', `/history/${id}`)
    if (body[id] !== undefined) return body[id] as JsonObject
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
