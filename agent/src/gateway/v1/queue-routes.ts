/** The queue under /v1: what waits and for how long, and everything a user may do about it. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { JobState } from '@comfymesh/protocol/job'
import type { JsonObject } from '@comfymesh/protocol/json'
import { z } from 'zod'
import type { JobRunner } from '../../execution/job-runner.ts'
import { MAX_PRIORITY, priorityOf } from '../../planning/queue-order.ts'
import { type Answer, json, jsonBody, type Request, type Route } from '../route.ts'

export interface QueueModules {
  readonly runner: JobRunner
}

/** One job or several, which keep the order in which they are named. */
const chosenSchema = z
  .union([z.object({ id: z.string() }), z.object({ ids: z.array(z.string()).min(1) })])
  .transform((body) => ('id' in body ? [body.id] : [...new Set(body.ids)]))

const targetSchema = z.union([
  z.object({ to: z.enum(['front', 'end']) }),
  z.object({ before: z.string() }),
  z.object({ after: z.string() }),
])

const prioritySchema = z.object({
  priority: z.number().int().min(-MAX_PRIORITY).max(MAX_PRIORITY),
})

export function queueRoutes({ runner }: QueueModules): Route[] {
  const post = (path: string, change: (request: Request) => Promise<JsonObject | void>): Route => ({
    method: 'POST',
    path: `/v1/queue/${path}`,
    handle: async (request) => {
      try {
        const told = await change(request)
        return json({ ...summaryOf(runner), ...told })
      } catch (error) {
        return refusal(error)
      }
    },
  })
  return [
    {
      method: 'GET',
      path: '/v1/queue',
      handle: () => json({ ...summaryOf(runner), jobs: jobsOf(runner) }),
    },
    post('pause', () => runner.pause()),
    post('resume', () => runner.resume()),
    post('move', async (request) => {
      const body = jsonBody(request)
      await runner.move(parsed(chosenSchema, body), parsed(targetSchema, body))
    }),
    post('priority', async (request) => {
      const body = jsonBody(request)
      await runner.prioritise(parsed(chosenSchema, body), parsed(prioritySchema, body).priority)
    }),
    post('cancel', async (request) => ({
      cancelled: await cancel(runner, parsed(chosenSchema, jsonBody(request))),
    })),
    post('clear', async () => {
      const cancelled = runner.pending().map(({ request }) => request.id)
      await runner.cancelPending(cancelled)
      return { cancelled }
    }),
  ]
}

/** @returns those that waited or ran. @throws MeshError `not_found` when none of them did. */
async function cancel(runner: JobRunner, ids: readonly string[]): Promise<string[]> {
  const has = (jobs: readonly JobState[], id: string) =>
    jobs.some(({ request }) => request.id === id)
  const pending = ids.filter((id) => has(runner.pending(), id))
  const running = ids.filter((id) => has(runner.running(), id))
  for (const id of running) runner.interrupt(id)
  await runner.cancelPending(pending)
  if (pending.length + running.length > 0) return [...running, ...pending]
  const which =
    ids.length === 1 ? `Job ${ids[0]} neither waits nor runs` : 'None of these jobs waits or runs'
  throw new MeshError('not_found', `${which}. See GET /v1/queue.`, { details: { ids } })
}

function summaryOf(runner: JobRunner): JsonObject {
  const pausedAtMs = runner.pausedAtMs()
  return {
    paused: pausedAtMs !== undefined,
    ...(pausedAtMs !== undefined && { pausedAtMs }),
    queued: runner.pending().length,
    running: runner.running().length,
  }
}

/** Those that run, then those that wait in the order in which they will run. */
function jobsOf(runner: JobRunner): JsonObject[] {
  return [...runner.running(), ...runner.pending()].map(({ request, status, startedAtMs }) => ({
    id: request.id,
    status,
    number: request.number,
    priority: priorityOf(request.number),
    createdAtMs: request.createdAtMs,
    ...(startedAtMs !== undefined && { startedAtMs }),
  }))
}

/** @throws MeshError `invalid_prompt` naming the field and what it may be. */
function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw result.error
}

function refusal(error: unknown): Answer {
  if (error instanceof z.ZodError)
    return json(
      { error: { code: 'invalid_request', message: z.prettifyError(error), details: {} } },
      400,
    )
  if (error instanceof SyntaxError)
    return json(
      {
        error: {
          code: 'invalid_request',
          message: `The body is no JSON: ${error.message}`,
          details: {},
        },
      },
      400,
    )
  if (error instanceof MeshError && error.code === 'not_found')
    return json({ error: error.toReport() }, 404)
  throw error
}
