/**
 * Our own view of jobs, under /v1: the state as it is folded everywhere, and the events
 * that change it. ComfyUI's view of the same jobs is comfyui/'s.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import { isFinished, type JobState, jobStatuses } from '@comfymesh/protocol/job'
import type { JobEntry, JobSummary } from '@comfymesh/protocol/job-summary'
import { z } from 'zod'
import type { JobRunner } from '../../execution/job-runner.ts'
import { pageOf } from '../job-page.ts'
import { type Answer, json, type Request, type Route } from '../route.ts'
import { parsedQuery } from './answers.ts'
import { openEventStream } from './event-stream.ts'
import { jobStateSchema, jobSummarySchema, listedJob } from './job-schemas.ts'

type Jobs = Pick<JobRunner, 'job' | 'subscribe' | 'entries' | 'summaries' | 'cancel' | 'forget'>

const listParameters = {
  status: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(jobStatuses)))
    .optional(),
  search: z.string().default(''),
  since: z.coerce.number().default(Number.NEGATIVE_INFINITY),
  until: z.coerce.number().default(Number.POSITIVE_INFINITY),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  offset: z.coerce.number().int().min(0).default(0),
}

const jobListSchema = z.object({
  jobs: z.array(jobSummarySchema),
  offset: z.number(),
  limit: z.number(),
  hasMore: z.boolean(),
})

const cancelledSchema = z.object({
  id: z.string(),
  cancelled: z.boolean().describe('False when it had ended already'),
  status: z.enum(jobStatuses).describe('What it was when it was asked'),
})

const noJob = { 404: { description: 'There is no such job' } }

export function jobRoutes({ runner }: { readonly runner: Jobs }): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/jobs',
      documentation: {
        summary: 'All jobs, the newest first',
        parameters: {
          status: { description: 'Only these, separated by commas', schema: z.string().optional() },
          search: {
            description:
              'Only those with all of these words in the text or the model of the prompt',
            schema: listParameters.search,
          },
          since: {
            description: 'Only those submitted at this moment or later, in milliseconds since 1970',
            schema: z.number().optional(),
          },
          until: { description: 'Only those submitted before it', schema: z.number().optional() },
          limit: { description: 'How many at most', schema: listParameters.limit },
          offset: { description: 'How many are passed over', schema: listParameters.offset },
        },
        answers: { 200: { description: 'A page of the list', schema: jobListSchema } },
      },
      handle: (request) => listJobs(runner, request),
    },
    {
      method: 'GET',
      path: '/v1/jobs/:id',
      documentation: {
        summary: 'A job: its prompt, plan, progress and results',
        answers: { 200: { description: 'The job as it is', schema: jobStateSchema }, ...noJob },
      },
      handle: async ({ params }) => json(await findJob(runner, params.id!)),
    },
    {
      method: 'DELETE',
      path: '/v1/jobs/:id',
      documentation: {
        summary: 'Cancel a job that waits or runs, or forget one that has ended',
        description: 'The files that a job made stay.',
        answers: { 200: { description: 'Done', schema: cancelledSchema }, ...noJob },
      },
      handle: async ({ params }) => {
        const answer = await cancel(runner, params.id!)
        if (!answer.cancelled) await runner.forget([params.id!])
        return json(answer)
      },
    },
    {
      method: 'POST',
      path: '/v1/jobs/:id/cancel',
      documentation: {
        summary: 'Cancel a job that waits or runs',
        answers: { 200: { description: 'Done', schema: cancelledSchema }, ...noJob },
      },
      handle: async ({ params }) => json(await cancel(runner, params.id!)),
    },
    {
      method: 'GET',
      path: '/v1/jobs/:id/events',
      documentation: {
        summary: 'What happens to a job, as server-sent events',
        description:
          'First `state`, the job as it is; then an `event` for each change until the job has ' +
          'ended, and then the stream ends.',
        answers: {
          200: { description: 'A stream', contentType: 'text/event-stream' },
          ...noJob,
        },
      },
      handle: ({ params }) => eventsOf(runner, params.id!),
    },
  ]
}

/** @throws MeshError `not_found` */
export async function findJob(runner: Pick<JobRunner, 'job'>, id: string): Promise<JobState> {
  const state = await runner.job(id)
  if (state === undefined) throw noSuchJob(id)
  return state
}

function noSuchJob(id: string): MeshError {
  return new MeshError('not_found', `There is no job ${id}. See GET /v1/jobs.`, { details: { id } })
}

/** @throws MeshError `not_found` */
async function cancel(runner: Jobs, id: string): Promise<z.infer<typeof cancelledSchema>> {
  const { status } = await findJob(runner, id)
  const cancelled = await runner.cancel([id])
  return { id, cancelled: cancelled.length > 0, status }
}

async function listJobs(runner: Jobs, request: Request): Promise<Answer> {
  const { status, search, since, until, limit, offset } = parsedQuery(listParameters, request)
  const jobs = runner
    .entries()
    .filter((job) => status?.includes(job.status) ?? true)
    .filter(({ createdAtMs }) => createdAtMs >= since && createdAtMs < until)
  jobs.sort(newestFirst)
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  const isAsked = words.length === 0 ? undefined : isMadeWith(words)
  const end = offset + limit
  const page = await pageOf(runner, jobs, { offset, limit, isAsked, countTo: end + 1 })
  return json({ jobs: page.jobs.map(listedJob), offset, limit, hasMore: page.total > end })
}

/** Whether a job was made with all of these words, in any case and order. */
function isMadeWith(words: readonly string[]): (job: JobSummary) => boolean {
  return ({ prompt: { text, model = '' } }) => {
    const made = `${text} ${model}`.toLowerCase()
    return words.every((word) => made.includes(word))
  }
}

/** Those that wait or run before those that ended. */
const newestFirst = (one: JobEntry, other: JobEntry): number =>
  Number(isFinished(one)) - Number(isFinished(other)) || other.createdAtMs - one.createdAtMs

async function eventsOf(runner: Jobs, id: string): Promise<Answer> {
  const early: (() => void)[] = []
  let isOpen = false
  let unsubscribe = () => {}
  const stream = openEventStream(() => unsubscribe())
  // Subscribed in the same tick in which the state is asked for, so that no event is lost.
  unsubscribe = runner.subscribe(({ event, state }) => {
    if (event.jobId !== id) return
    const pass = () => {
      stream.tell({ name: 'event', data: event })
      if (isFinished(state)) stream.end()
    }
    if (isOpen) pass()
    else early.push(pass)
  })
  const state = await runner.job(id)
  if (state === undefined) {
    stream.close()
    throw noSuchJob(id)
  }
  stream.tell({ name: 'state', data: state })
  for (const pass of early) pass()
  isOpen = true
  if (isFinished(state)) stream.end()
  return stream.answer
}
