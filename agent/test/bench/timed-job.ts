/** Runs a prompt as a ComfyUI client does, over HTTP and WebSocket, with a stopwatch. */
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { JobState } from '@comfymesh/protocol/job'
import { type JsonObject, parseJson } from '@comfymesh/protocol/json'
import { WebSocket } from 'ws'
import { submission, type TestPrompt } from '../e2e/prompts.ts'

const connections = new Agent({ keepAlive: true })

export interface TimedJob {
  /** From the request to the message that the client takes for the end. */
  readonly jobMs: number
  /** Bare time inside the model sessions. */
  readonly sessionMs: number
  /** Steps that were told when done, not more than ten a second; times are from the request on. */
  readonly steps: readonly { readonly value: number; readonly atMs: number }[]
}

interface Message {
  readonly type: string
  readonly data: {
    readonly node?: string | null
    readonly prompt_id?: string
    readonly value?: number
  }
}

/** @throws Error when the job does not complete. */
export async function runTimed(
  url: string,
  prompt: TestPrompt,
  extraData?: JsonObject,
): Promise<TimedJob> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?clientId=bench`)
  await once(socket, 'open')
  const arrived: { readonly message: Message; readonly atMs: number }[] = []
  let atEnd = (_atMs: number) => {}
  const ended = new Promise<number>((resolve) => {
    atEnd = resolve
  })
  socket.on('message', (data: Buffer, isBinary) => {
    const atMs = performance.now()
    if (isBinary) return
    const message = JSON.parse(String(data)) as Message
    arrived.push({ message, atMs })
    if (message.type === 'executing' && message.data.node === null) atEnd(atMs)
  })
  const body = submission(prompt, 'bench', extraData)
  const startedAtMs = performance.now()
  const [answer, endedAtMs] = await Promise.all([post(`${url}/prompt`, body), ended])
  const id = String(answer.prompt_id)
  socket.close()
  const state = await jobState(url, id)
  if (state.status !== 'completed') {
    throw new Error(`the job ${state.status}: ${state.error?.message ?? ''}`)
  }
  return {
    jobMs: endedAtMs - startedAtMs,
    sessionMs: state.stages.reduce((sum, stage) => sum + stage.sessionMs, 0),
    steps: arrived
      .filter(({ message }) => message.type === 'progress')
      .map(({ message, atMs }) => ({ value: message.data.value!, atMs: atMs - startedAtMs })),
  }
}

/** Node's bare client: what `fetch` takes of the processors would count for the job. */
async function post(url: string, body: string): Promise<JsonObject> {
  const sent = request(url, { method: 'POST', agent: connections })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const answer = await text(response)
  if (response.statusCode !== 200) throw new Error(`${response.statusCode}: ${answer}`)
  return parseJson(answer) as JsonObject
}

async function jobState(url: string, id: string): Promise<JobState> {
  const response = await fetch(`${url}/v1/jobs/${id}`)
  return parseJson(await response.text()) as unknown as JobState
}
