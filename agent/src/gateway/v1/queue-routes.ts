/** The queue under /v1: what waits and for how long, and everything a user may do about it. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonObject } from '@comfymesh/protocol/json'
import { z } from 'zod'
import type { JobRunner } from '../../execution/job-runner.ts'
import type { JobTimes, QueueTimes, QueueTimesReport } from '../../execution/queue-times.ts'
import { priorityOf } from '../../planning/queue-order.ts'
import { type Answer, json, jsonBody, type Request, type Route } from '../route.ts'
import { bodies, type QueueChange, queueSchema, summarySchema } from './queue-schemas.ts'
import { queueSummary } from './queue-summary.ts'

export interface QueueModules {
  readonly runner: JobRunner
  readonly queueTimes: QueueTimes
}

export function queueRoutes(modules: QueueModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/queue',
      documentation: {
        summary: 'The queue',
        description: 'Jobs that run, then those that wait, in the order in which they will run.',
        answers: { 200: { description: 'The queue', schema: queueSchema } },
      },
      handle: () => {
        const report = modules.queueTimes.report()
        return json({ ...summaryOf(modules.runner, report), jobs: report.jobs.map(jobOf) })
      },
    },
    ...changes.map((row) => changeRoute(row, modules)),
  ]
}

/** A change that a user may ask for. */
interface ChangeRow<T> {
  readonly name: QueueChange
  readonly summary: string
  readonly body?: z.ZodType<T>
  /** @returns what is told besides the summary of the queue. */
  change(runner: JobRunner, asked: T): Promise<JsonObject>
}

const row = <T>(change: ChangeRow<T>) => change as ChangeRow<unknown>

const changes: readonly ChangeRow<unknown>[] = [
  row({
    name: 'pause',
    summary: 'Let running jobs end and start no other, also after a restart',
    change: async (runner) => {
      await runner.pause()
      return {}
    },
  }),
  row({
    name: 'resume',
    summary: 'Start jobs again',
    change: async (runner) => {
      await runner.resume()
      return {}
    },
  }),
  row({
    name: 'move',
    summary: 'Move waiting jobs to an end of the queue or beside another job',
    body: bodies.move,
    change: async (runner, { ids, target }) => {
      await runner.move(ids, target)
      return { moved: [...ids] }
    },
  }),
  row({
    name: 'priority',
    summary: 'Give waiting jobs a priority; higher ones run first',
    body: bodies.priority,
    change: async (runner, { ids, priority }) => {
      await runner.prioritise(ids, priority)
      return { prioritised: [...ids] }
    },
  }),
  row({
    name: 'cancel',
    summary: 'Cancel jobs that wait or run',
    body: bodies.cancel,
    change: async (runner, { ids }) => ({ cancelled: await cancel(runner, ids) }),
  }),
  row({
    name: 'clear',
    summary: 'Cancel all jobs that wait',
    change: async (runner) => {
      const cancelled = runner.pending().map(({ request }) => request.id)
      await runner.cancelPending(cancelled)
      return { cancelled }
    },
  }),
]

function changeRoute(
  { name, summary, body, change }: ChangeRow<unknown>,
  { runner, queueTimes }: QueueModules,
): Route {
  return {
    method: 'POST',
    path: `/v1/queue/${name}`,
    documentation: {
      summary,
      ...(body && { body }),
      answers: {
        200: { description: 'Done; what the queue is like now', schema: summarySchema },
        ...(body && {
          400: { description: 'The body is not as it should be' },
          404: { description: 'A job that is named does not wait there' },
        }),
      },
    },
    handle: async (request) => {
      try {
        const told = await change(runner, body && asked(body, request))
        return json({ ...summaryOf(runner, queueTimes.report()), ...told })
      } catch (error) {
        return refusal(error)
      }
    },
  }
}

/** @returns those that ran or waited. @throws MeshError `not_found` when none of them did. */
async function cancel(runner: JobRunner, ids: readonly string[]): Promise<string[]> {
  const cancelled = await runner.cancel(ids)
  if (cancelled.length > 0) return cancelled
  const message = `${ids.length === 1 ? `Job ${ids[0]} neither waits nor runs` : 'None of these jobs waits or runs'}. See GET /v1/queue.`
  throw new MeshError('not_found', message, { details: { ids } })
}

function summaryOf(runner: JobRunner, { remainingMs }: QueueTimesReport): JsonObject {
  const pausedAtMs = runner.pausedAtMs()
  const facts = {
    paused: pausedAtMs !== undefined,
    queued: runner.pending().length,
    running: runner.running().length,
    remainingMs: remainingMs ?? null,
  }
  return { ...facts, ...(pausedAtMs !== undefined && { pausedAtMs }), summary: queueSummary(facts) }
}

function jobOf({ job, estimateMs, remainingMs, startsInMs }: JobTimes): JsonObject {
  const { request, status, startedAtMs, pause } = job
  return {
    id: request.id,
    status,
    number: request.number,
    priority: priorityOf(request.number),
    createdAtMs: request.createdAtMs,
    ...(pause !== undefined && { question: pause.question }),
    estimateMs: estimateMs ?? null,
    ...(status === 'running'
      ? { startedAtMs: startedAtMs ?? null, remainingMs: remainingMs ?? null }
      : { startsInMs: startsInMs ?? null }),
  }
}

/** @throws ZodError, SyntaxError */
function asked(body: z.ZodType, request: Request): unknown {
  return body.parse(jsonBody(request))
}

function refusal(error: unknown): Answer {
  const invalid = (message: string) =>
    json({ error: { code: 'invalid_request', message, details: {} } }, 400)
  if (error instanceof z.ZodError) return invalid(z.prettifyError(error))
  if (error instanceof SyntaxError) return invalid(`The body is no JSON: ${error.message}.`)
  if (error instanceof MeshError && error.code === 'not_found')
    return json({ error: error.toReport() }, 404)
  throw error
}
