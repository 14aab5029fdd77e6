/** The events of all jobs, under /v1. */
import { jobEventSchema } from '@comfymesh/protocol/job'
import { summariseJob } from '@comfymesh/protocol/job-summary'
import { z } from 'zod'
import type { JobRunner } from '../../execution/job-runner.ts'
import { type Answer, json, type Request, type Route } from '../route.ts'
import type { EventMemory, RememberedEvent } from './event-memory.ts'
import { type EventStream, openEventStream } from './event-stream.ts'
import { findJob } from './job-routes.ts'
import { listedJob } from './job-schemas.ts'

export interface EventModules {
  readonly runner: Pick<JobRunner, 'running' | 'pending' | 'job' | 'pausedAtMs' | 'onPaused'>
  readonly events: EventMemory
}

export function eventRoutes(modules: EventModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/events',
      documentation: {
        summary: 'What happens to all jobs, as server-sent events',
        description:
          'First `jobs`, the jobs that run or wait; then an `event` for each thing that happens, ' +
          'as it happens. A client that comes back with `Last-Event-ID` hears what it missed ' +
          'instead of `jobs`; where that is not known any more, it gets `jobs` again. `queue` says ' +
          'whether the queue is paused, at the beginning and whenever that changes.',
        parameters: {
          lastEventId: {
            description: 'The same as the header Last-Event-ID, for clients that cannot send it',
            schema: z.string().optional(),
          },
        },
        answers: {
          200: { description: 'A stream without an end', contentType: 'text/event-stream' },
        },
      },
      handle: (request) => listen(modules, request),
    },
    {
      method: 'GET',
      path: '/v1/jobs/:id/log',
      documentation: {
        summary: 'What has happened to a job, event by event',
        description:
          'As far as this run of the agent remembers: some thousand events of all jobs. Steps of ' +
          'nodes are left out.',
        answers: {
          200: { description: 'The oldest first', schema: logSchema },
          404: { description: 'There is no such job' },
        },
      },
      handle: async ({ params }) => {
        await findJob(modules.runner, params.id!)
        const told = modules.events.ofJob(params.id!)
        return json({ events: told.filter(({ type }) => type !== 'node-progress') })
      },
    },
  ]
}

const logSchema = z.object({ events: z.array(jobEventSchema) })

function listen({ runner, events }: EventModules, { headers, query }: Request): Answer {
  const lastId = headers['last-event-id'] ?? query.get('lastEventId')
  const missed = lastId === null ? undefined : events.since(lastId)
  let ended = () => {}
  const stream = openEventStream(() => ended())
  if (missed === undefined) {
    const jobs = [...runner.running(), ...runner.pending()].map((state) =>
      listedJob(summariseJob(state)),
    )
    stream.tell({ name: 'jobs', data: { jobs } })
  }
  for (const event of missed ?? []) tellEvent(stream, event)
  const tellQueue = () => tellPaused(stream, runner.pausedAtMs())
  tellQueue()
  const ends = [events.listen((event) => tellEvent(stream, event)), runner.onPaused(tellQueue)]
  ended = () => {
    for (const end of ends) end()
  }
  return stream.answer
}

function tellPaused(stream: EventStream, pausedAtMs: number | undefined): void {
  const paused = pausedAtMs !== undefined
  stream.tell({ name: 'queue', data: { paused, ...(paused && { pausedAtMs }) } })
}

function tellEvent(stream: EventStream, { id, event }: RememberedEvent): void {
  stream.tell({ name: 'event', id, data: event })
}
