/**
 * The shape of a route: what a row of a route table says, and what its handler
 * gets and gives. The web framework is server.ts's business alone.
 */
import { Readable } from 'node:stream'
import {
  type JsonObject,
  type JsonValue,
  parsePythonJson,
  stringifyJson,
} from '@comfymesh/protocol/json'
import { jsonExcess } from '@comfymesh/protocol/json-extent'
import type { z } from 'zod'

export interface Request {
  readonly params: { readonly [name: string]: string }
  readonly query: URLSearchParams
  /** One value a header; lower-case names. */
  readonly headers: { readonly [name: string]: string | undefined }
  /** Empty where none was sent; whatever its content type. */
  readonly body: Buffer
}

export interface Answer {
  readonly status: number
  readonly headers?: { readonly [name: string]: string | number }
  readonly body?: string | Uint8Array | Readable
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `/view`, `/history/:id`, ... */
  readonly path: string
  /** Of ComfyUI's routes only: this one is not served again below `/api`. */
  readonly onlyAtRoot?: true
  /** What the OpenAPI document says of it; every route of ours (under /v1) has one. */
  readonly documentation?: RouteDocumentation
  handle(request: Request): Answer | Promise<Answer>
}

export interface RouteDocumentation {
  /** One line without a full stop. */
  readonly summary: string
  readonly description?: string
  /** Parameters of the query and of the path, by name; those of the path are always required. */
  readonly parameters?: { readonly [name: string]: ParameterDocumentation }
  /** A JSON body. */
  readonly body?: z.ZodType
  /** The answers besides the errors that are the same everywhere. */
  readonly answers: { readonly [status: number]: AnswerDocumentation }
}

export interface ParameterDocumentation {
  readonly description: string
  /** A text where it is absent. */
  readonly schema?: z.ZodType
}

export interface AnswerDocumentation {
  readonly description: string
  /** What a JSON answer holds. */
  readonly schema?: z.ZodType
  /** The type of an answer that is no JSON. */
  readonly contentType?: string
}

/** A request that is larger than this agent takes. */
export class TooLarge extends Error {
  readonly statusCode = 413
}

/**
 * The depth is Python's: what is deeper could be read here, but not be written by every function.
 * The largest workflows have some 50,000 values; a million takes seconds in which nobody else is
 * answered.
 */
const jsonLimits = { maxDepth: 1000, maxValues: 500_000 }

/** As Python reads it, which sends it too. @throws SyntaxError, TooLarge */
export function jsonBody(request: Request): JsonValue {
  const excess = jsonExcess(request.body, jsonLimits)
  if (excess === 'depth') throw new SyntaxError('JSON that is nested too deeply')
  if (excess === 'values')
    throw new TooLarge(`The JSON has more than ${jsonLimits.maxValues} values.`)
  return parsePythonJson(request.body.toString('utf8'))
}

/** @throws TypeError for what has no keys, as Python would. */
export function asObject(value: JsonValue): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new TypeError('a JSON object was expected')
}

/** 64-bit integers stay intact. */
export function json(value: unknown, status = 200): Answer {
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  return { status, headers, body: stringifyJson(value) }
}

/** JSON that may be too large to be held at once: each piece is made when there is room for it. */
export function jsonPieces(pieces: Iterable<string>): Answer {
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  return { status: 200, headers, body: Readable.from(pieces) }
}

export function text(body: string, status = 200): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body }
}

/** As ComfyUI answers where there is nothing to say. */
export function empty(status = 200): Answer {
  return { status, headers: { 'content-type': 'application/octet-stream' } }
}
