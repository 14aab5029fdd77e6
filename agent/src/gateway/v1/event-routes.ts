/** The events of all jobs, under /v1. */
import { summariseJob } from '@comfymesh/protocol/job-summary'
import { z } from 'zod'
import type { JobRunner } from '../../execution/job-runner.ts'
import type { Answer, Request, Route } from '../route.ts'
import type { EventMemory, RememberedEvent } from './event-memory.ts'
import { type EventStream, openEventStream } from './event-stream.ts'
import { listedJob } from './job-schemas.ts'

export interface EventModules {
  readonly runner: Pick<JobRunner, 'running' | 'pending'>
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
          'instead of `jobs`; where that is not known any more, it gets `jobs` again.',
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
  ]
}

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
  ended = events.listen((event) => tellEvent(stream, event))
  return stream.answer
}

function tellEvent(stream: EventStream, { id, event }: RememberedEvent): void {
  stream.tell({ name: 'event', id, data: event })
}
