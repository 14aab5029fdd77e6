/** Prompts, the queue and the history. */
import type { JobState } from '@comfymesh/protocol/job'
import { type JsonObject, type JsonValue, stringifyJson } from '@comfymesh/protocol/json'
import type { JobRunner } from '../../execution/job-runner.ts'
import type { Submission } from '../../execution/submissions.ts'
import { coerce, isTruthy } from '../../planning/coerce.ts'
import { asObject, empty, json, jsonBody, jsonPieces, type Request, type Route } from '../route.ts'
import { historyEntry, queueItem } from './history.ts'

export function queueRoutes({ runner }: { readonly runner: JobRunner }): Route[] {
  return [
    { method: 'GET', path: '/prompt', handle: () => json(execInfo(runner)) },
    { method: 'POST', path: '/prompt', handle: (request) => submit(runner, request) },
    {
      method: 'GET',
      path: '/queue',
      handle: () => jsonPieces(queueText(runner.running(), runner.pending())),
    },
    { method: 'POST', path: '/queue', handle: (request) => changeQueue(runner, request) },
    {
      method: 'POST',
      path: '/interrupt',
      handle: (request) => {
        const id = bodyOrNothing(request).prompt_id
        if (typeof id === 'string') runner.interrupt(id)
        else runner.interrupt()
        return empty()
      },
    },
    {
      method: 'POST',
      path: '/free',
      handle: (request) => {
        const body = asObject(jsonBody(request))
        const [models, memory] = [Boolean(body.unload_models), Boolean(body.free_memory)]
        runner.free({ unloadModels: models, freeMemory: memory })
        return empty()
      },
    },
    { method: 'GET', path: '/history', handle: (request) => history(runner, request.query) },
    { method: 'POST', path: '/history', handle: (request) => changeHistory(runner, request) },
    {
      method: 'GET',
      path: '/history/:id',
      handle: async ({ params }) => {
        const job = await runner.job(params.id!)
        const isListed = job?.finishedAtMs !== undefined && job.startedAtMs !== undefined
        return json(isListed ? { [params.id!]: historyEntry(job) } : {})
      },
    },
  ]
}

/** `{ queue_running: [...], queue_pending: [...] }`, job by job: a thousand with their workflows are many MB. */
function* queueText(running: readonly JobState[], pending: readonly JobState[]): Iterable<string> {
  yield '{"queue_running":['
  yield* itemsText(running)
  yield '],"queue_pending":['
  yield* itemsText(pending)
  yield ']}'
}

function* itemsText(jobs: readonly JobState[]): Iterable<string> {
  for (const [index, job] of jobs.entries())
    yield (index === 0 ? '' : ',') + stringifyJson(queueItem(job))
}

/** How many jobs wait or run. */
function execInfo(runner: JobRunner): JsonObject {
  return { exec_info: { queue_remaining: runner.remaining() } }
}

async function submit(runner: JobRunner, request: Request) {
  const result = await runner.submit(submissionOf(bodyWithKeys(request), request.headers))
  if (!result.accepted) return json({ error: result.error, node_errors: result.nodeErrors }, 400)
  const { id, number } = result.job.request
  return json({ prompt_id: id, number, node_errors: result.nodeErrors })
}

/** Credentials that clients send along for paid services: nothing here uses or keeps them. */
const SECRETS = ['auth_token_comfy_org', 'api_key_comfy_org']

function submissionOf(body: JsonObject, headers: Request['headers']): Submission {
  const given = Object.entries(asObject(body.extra_data ?? {}))
  const extraData = Object.fromEntries(given.filter(([key]) => !SECRETS.includes(key)))
  if (body.client_id !== undefined) extraData.client_id = body.client_id
  const source = headers['comfy-usage-source']
  if (source !== undefined) extraData.comfy_usage_source = source
  const { prompt_id, number, front, partial_execution_targets: targets } = body
  return {
    prompt: body.prompt,
    extraData,
    ...(prompt_id !== undefined && prompt_id !== null && { id: prompt_id }),
    ...(number !== undefined && number !== null && { number: placeOf(number) }),
    ...(isTruthy(front ?? null) && { front: true }),
    ...(targets !== undefined && targets !== null && { targets: namesIn(targets) }),
  }
}

/** @throws CoercionError, or TypeError for what is no place in a queue. */
function placeOf(number: JsonValue): number {
  const place = Number(coerce(number, 'FLOAT'))
  if (Number.isFinite(place)) return place
  throw new TypeError('a finite number was expected')
}

/** What Python finds by `name in value`, save that a part of a text is no name. @throws TypeError */
function namesIn(value: JsonValue): string[] {
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) return value.filter((name) => typeof name === 'string')
  return Object.keys(asObject(value))
}

async function changeQueue(runner: JobRunner, request: Request) {
  const body = bodyWithKeys(request)
  if (body.clear) await runner.cancelPending('all')
  if (Array.isArray(body.delete)) await runner.cancelPending(body.delete.map(String))
  return empty()
}

async function changeHistory(runner: JobRunner, request: Request) {
  const body = bodyWithKeys(request)
  if (body.clear) await runner.forget('all')
  if (Array.isArray(body.delete)) await runner.forget(body.delete.map(String))
  return empty()
}

async function history(runner: JobRunner, query: URLSearchParams) {
  const count = integer(query.get('max_items'))
  const offset = integer(query.get('offset')) ?? -1
  // As in ComfyUI, who asks for none from a place on gets one.
  const limit = count === undefined ? {} : { limit: Math.max(1, count) }
  const newest = offset < 0 && count !== undefined
  const jobs = await runner.history(
    newest ? { last: Math.max(0, count) } : { offset: Math.max(0, offset), ...limit },
  )
  return json(Object.fromEntries(jobs.map((job) => [job.request.id, historyEntry(job)])))
}

/** @throws CoercionError for what is no integer to Python. */
function integer(text: string | null): number | undefined {
  return text === null ? undefined : Number(coerce(text, 'INT'))
}

/** As in ComfyUI, a body that is no JSON counts as none. */
function bodyOrNothing(request: Request): JsonObject {
  try {
    return asObject(jsonBody(request))
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}

/** As in ComfyUI, a list has none of the keys that are looked for. @throws TypeError */
function bodyWithKeys(request: Request): JsonObject {
  const body = jsonBody(request)
  return Array.isArray(body) ? {} : asObject(body)
}
