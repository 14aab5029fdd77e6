/**
 * Requests to the agent that serves this page, and what goes wrong with them in words.
 * Relative addresses: the page works below any path of a reverse proxy.
 */
import { type JsonValue, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { isObject } from '../json-object.ts'

/** The agent answered, and the answer was no. */
export class Refused extends Error {
  readonly status: number
  /** The body, where it was JSON. */
  readonly body: JsonValue | undefined

  constructor(message: string, status: number, body?: JsonValue) {
    super(message)
    this.status = status
    this.body = body
  }
}

/** Nobody answered: the agent stopped, or the network is gone. */
class Unreachable extends Error {
  constructor(cause: unknown) {
    super('The agent does not answer. It may have stopped, or the network is gone.', { cause })
  }
}

/** An address of the agent, e.g. `at('v1/jobs')`. */
export function at(path: string): string {
  return new URL(path, document.baseURI).href
}

/** @throws Refused, Unreachable */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await request(path, signal ? { signal } : {})) as T
}

/** 64-bit integers of the body stay intact. @throws Refused, Unreachable */
export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const headers = { 'content-type': 'application/json' }
  return (await request(path, { method: 'POST', headers, body: stringifyJson(body) })) as T
}

/** @throws Refused, Unreachable */
export async function remove<T>(path: string): Promise<T> {
  return (await request(path, { method: 'DELETE' })) as T
}

/** @throws Refused, Unreachable */
export async function upload<T>(path: string, form: FormData): Promise<T> {
  return (await request(path, { method: 'POST', body: form })) as T
}

async function request(path: string, init: RequestInit): Promise<unknown> {
  let response: Response
  try {
    response = await fetch(at(path), init)
  } catch (cause) {
    if (init.signal?.aborted) throw cause
    throw new Unreachable(cause)
  }
  const text = await response.text()
  const body = parsed(text)
  if (response.ok) return body
  throw new Refused(
    messageOf(body) ?? `${text.trim() || response.statusText}`,
    response.status,
    body,
  )
}

function parsed(text: string): JsonValue | undefined {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}

/** Both ComfyUI's errors and ours have `error.message`; ComfyUI adds details. */
function messageOf(body: JsonValue | undefined): string | undefined {
  const error = isObject(body) ? body.error : undefined
  if (typeof error === 'string') return error
  if (!isObject(error) || typeof error.message !== 'string') return undefined
  const { message, details } = error
  return typeof details === 'string' && details !== '' ? `${message}: ${details}` : message
}
