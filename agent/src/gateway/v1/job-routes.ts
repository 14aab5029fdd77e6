/**
 * Our own view of jobs, under /v1: the state as it is folded everywhere, and the events
 * that change it. ComfyUI's view of the same jobs is comfyui/'s.
 */
import { Readable } from 'node:stream'
import { isFinished, type JobState } from '@comfymesh/protocol/job'
import { stringifyJson } from '@comfymesh/protocol/json'
import type { JobRunner } from '../../execution/job-runner.ts'
import { type Answer, json, type Route } from '../route.ts'

type Jobs = Pick<JobRunner, 'job' | 'subscribe'>

export function jobRoutes({ runner }: { readonly runner: Jobs }): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/jobs/:id',
      handle: async ({ params }) => {
        const state = await runner.job(params.id!)
        return state === undefined ? noSuchJob(params.id!) : json(state)
      },
    },
    {
      method: 'GET',
      path: '/v1/jobs/:id/events',
      handle: ({ params }) => eventsOf(runner, params.id!),
    },
  ]
}

function noSuchJob(id: string): Answer {
  const error = { code: 'not_found', message: `There is no job ${id}.`, details: { id } }
  return json({ error }, 404)
}

/** Proxies close connections over which nothing is said for a minute or so. */
const KEEP_ALIVE_MS = 15_000

/**
 * Server-sent events: one `state` with the job as it is, then one `event` for each that
 * follows, until the job has ended. Whoever folds them has the job's state at any moment.
 */
async function eventsOf(runner: Jobs, id: string): Promise<Answer> {
  const stream = new Readable({ read() {} })
  const tell = (name: 'state' | 'event', data: unknown) =>
    stream.push(`event: ${name}\ndata: ${stringifyJson(data)}\n\n`)
  const early: (() => void)[] = []
  let isOpen = false
  // Subscribed in the same tick in which the state is asked for, so that no event is lost.
  const unsubscribe = runner.subscribe(({ event, state }) => {
    if (event.jobId !== id) return
    const pass = () => {
      tell('event', event)
      if (isFinished(state)) stream.push(null)
    }
    if (isOpen) pass()
    else early.push(pass)
  })
  const state: JobState | undefined = await runner.job(id)
  if (state === undefined) {
    unsubscribe()
    return noSuchJob(id)
  }
  tell('state', state)
  for (const pass of early) pass()
  isOpen = true
  if (isFinished(state)) stream.push(null)
  const keepAlive = setInterval(() => stream.push(':\n\n'), KEEP_ALIVE_MS)
  stream.once('close', () => {
    clearInterval(keepAlive)
    unsubscribe()
  })
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }
  return { status: 200, headers, body: stream }
}
