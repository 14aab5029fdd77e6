/** Runs a prompt as a ComfyUI client does, over HTTP and WebSocket, with a stopwatch. */
import { once } from 'node:events'
import type { JobState } from '@comfymesh/protocol/job'
import { type JsonObject, parseJson } from '@comfymesh/protocol/json'
import { WebSocket } from 'ws'
import { submit, type TestPrompt } from '../e2e/prompts.ts'

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
  const startedAtMs = performance.now()
  const id = await submit({ url }, prompt, 'bench', extraData)
  const endedAtMs = await ended
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

async function jobState(url: string, id: string): Promise<JobState> {
  const response = await fetch(`${url}/v1/jobs/${id}`)
  return parseJson(await response.text()) as unknown as JobState
}
