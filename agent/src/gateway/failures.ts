/** What a client is told when nothing answers, or when answering fails. */
import { type ErrorCode, MeshError } from '@comfymesh/protocol/errors'
import type { FastifyInstance } from 'fastify'
import { withoutToken } from './credentials.ts'
import { send } from './fastify-routes.ts'
import { type Answer, json, text } from './route.ts'
import { told } from './told.ts'

/** aiohttp's words, which some clients look for. */
const SERVER_ERROR = '500 Internal Server Error\n\nServer got itself in trouble'

/** What the operating system says about a disk or a name, and what a client can do about it. */
const systemErrors: { readonly [code: string]: readonly [status: number, words: string] } = {
  ENOSPC: [507, 'The disk of the agent is full. Make room there and try again.'],
  EDQUOT: [507, 'The disk quota of the agent is used up. Make room there and try again.'],
  EROFS: [500, 'The agent cannot write there: the disk is read-only.'],
  EACCES: [500, 'The agent may not read or write there. Check the permissions of its folders.'],
  EPERM: [500, 'The agent may not read or write there. Check the permissions of its folders.'],
  EMFILE: [503, 'The agent has too many files open. Try again in a moment.'],
  ENAMETOOLONG: [400, 'This name is too long for the disk of the agent.'],
  ENOTDIR: [400, 'A part of this path is a file, not a folder.'],
  EEXIST: [400, 'There is a file where a folder is needed.'],
  EISDIR: [400, 'There is a folder of this name.'],
  EINVAL: [400, 'The disk of the agent knows no such name.'],
}

export function installFailures(
  server: FastifyInstance,
  warn: (message: string, error?: unknown) => void,
): void {
  server.setNotFoundHandler((request, reply) => send(reply, nothingAnswers(request.method)))
  server.setErrorHandler((error: Failure, request, reply) => {
    const answer = answerTo(error, request.url)
    // JSON that cannot be read is the client's fault, but ComfyUI calls it its own.
    const isOurs = answer.status >= 500 && !(error instanceof SyntaxError)
    if (isOurs && !(error instanceof MeshError))
      warn(`${request.method} ${withoutToken(request.url)} failed`, error)
    return send(reply, answer)
  })
}

/** As a ComfyUI says it, where any path might be a file to get and none can be changed. */
function nothingAnswers(method: string): Answer {
  if (method === 'GET' || method === 'HEAD') return text('404: Not Found', 404)
  const answer = text('405: Method Not Allowed', 405)
  return { ...answer, headers: { ...answer.headers, allow: 'GET,HEAD' } }
}

type Failure = Error & { readonly statusCode?: number; readonly code?: string }

function answerTo(error: Failure, url: string): Answer {
  if (error instanceof MeshError) return failure(error)
  const status = error.statusCode ?? 500
  if (status === 408)
    return { ...told(url, `408: ${error.message}`, 408), headers: { connection: 'close' } }
  if (status < 500) return told(url, `${status}: ${error.message}`, status)
  const [systemStatus, words] = systemErrors[error.code ?? ''] ?? []
  return told(url, words ?? SERVER_ERROR, systemStatus ?? 500)
}

/** Where the client is at fault. */
const statuses: { readonly [code in ErrorCode]?: number } = { malformed_file: 400 }

/** What went wrong here and what to do, in the shape in which clients show errors of a prompt. */
function failure({ code, message, retryable }: MeshError): Answer {
  const error = { type: code, message, details: '', extra_info: {} }
  const status = statuses[code] ?? (retryable ? 503 : 500)
  return json({ error, node_errors: {} }, status)
}
