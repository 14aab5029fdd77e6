/** ComfyUI's /api/jobs: jobs that wait, run and ended in one list. */
import { type JobSummary, neverBegan } from '@comfymesh/protocol/job-summary'
import type { JsonValue } from '@comfymesh/protocol/json'
import type { JobRunner } from '../../execution/job-runner.ts'
import { isJobId } from '../../execution/submissions.ts'
import { CoercionError, coerce } from '../../planning/coerce.ts'
import { pythonRepr } from '../../planning/python-text.ts'
import { pageOf } from '../job-page.ts'
import { type Answer, json, jsonBody, type Request, type Route } from '../route.ts'
import { type JobFilter, jobDetail, jobItem, jobStatuses, listedJobs } from './job-list.ts'

export function jobRoutes({ runner }: { readonly runner: JobRunner }): Route[] {
  return [
    { method: 'GET', path: '/api/jobs', handle: ({ query }) => list(runner, query) },
    {
      method: 'GET',
      path: '/api/jobs/:id',
      handle: async ({ params }) => {
        const job = await runner.job(params.id!)
        // One that was taken from the queue is forgotten, as in ComfyUI.
        const isKnown = job !== undefined && !neverBegan(job)
        return isKnown ? json(jobDetail(job)) : json({ error: 'Job not found' }, 404)
      },
    },
    {
      method: 'POST',
      path: '/api/jobs/:id/cancel',
      handle: async ({ params }) => json({ cancelled: await cancel(runner, [params.id!]) }),
    },
    { method: 'POST', path: '/api/jobs/cancel', handle: (request) => cancelAll(runner, request) },
  ]
}

async function list(runner: JobRunner, query: URLSearchParams): Promise<Answer> {
  const filter = filterOf(query)
  if ('error' in filter) return json(filter, 400)
  const { offset, limit, workflowId } = filter
  const isAsked =
    workflowId === undefined ? undefined : (job: JobSummary) => job.workflowId === workflowId
  const all = listedJobs(runner.entries(), filter)
  const { jobs, total } = await pageOf(runner, all, { offset, limit, isAsked })
  const has_more = offset + jobs.length < total
  const pagination = { offset, limit: limit ?? null, total, has_more }
  return json({ jobs: jobs.map(jobItem), pagination })
}

/** What is asked for, or what is wrong with it in ComfyUI's words. */
function filterOf(query: URLSearchParams): JobFilter | { readonly error: string } {
  const word = (name: string, otherwise: string) => (query.get(name) ?? otherwise).toLowerCase()
  const given = query.get('status')?.split(',') ?? []
  const statuses = given.map((status) => status.trim().toLowerCase()).filter((name) => name !== '')
  const unknown = statuses.filter((status) => !jobStatuses.includes(status))
  if (unknown.length > 0) {
    const values = `${unknown.join(', ')}. Valid values: ${jobStatuses.join(', ')}`
    return { error: `Invalid status value(s): ${values}` }
  }
  const sortBy = word('sort_by', 'created_at')
  if (sortBy !== 'created_at' && sortBy !== 'execution_duration')
    return { error: "sort_by must be 'created_at' or 'execution_duration'" }
  const order = word('sort_order', 'desc')
  if (order !== 'asc' && order !== 'desc') return { error: "sort_order must be 'asc' or 'desc'" }
  const limit = integerOf(query.get('limit'))
  if (limit === null) return { error: 'limit must be an integer' }
  if (limit !== undefined && limit <= 0) return { error: 'limit must be a positive integer' }
  const offset = integerOf(query.get('offset'))
  if (offset === null) return { error: 'offset must be an integer' }
  const workflowId = query.get('workflow_id')
  return {
    sortBy,
    descending: order === 'desc',
    offset: Math.max(0, offset ?? 0),
    ...(limit !== undefined && { limit }),
    ...(query.get('status') && { statuses }),
    ...(workflowId && { workflowId }),
  }
}

/** Undefined where nothing is given, null where it is no integer to Python. */
function integerOf(text: string | null): number | undefined | null {
  if (text === null) return undefined
  try {
    return Number(coerce(text, 'INT'))
  } catch (error) {
    if (error instanceof CoercionError) return null
    throw error
  }
}

/** @returns whether any of them ran or waited. */
async function cancel(runner: JobRunner, ids: readonly string[]): Promise<boolean> {
  return (await runner.cancel(ids)).length > 0
}

async function cancelAll(runner: JobRunner, request: Request): Promise<Answer> {
  const body = bodyOf(request)
  if (body === undefined) return json({ error: 'Request body must be valid JSON' }, 400)
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body)
  const ids = isObject ? body.job_ids : undefined
  if (!Array.isArray(ids)) return json({ error: 'job_ids must be a list' }, 400)
  const invalid = ids.filter((id) => !isJobId(id))
  if (invalid.length === 0) return json({ cancelled: await cancel(runner, ids as string[]) })
  const invalid_ids = invalid.map((id) => (typeof id === 'string' ? id : pythonRepr(id)))
  return json({ error: 'job_ids contains invalid id(s)', invalid_ids }, 400)
}

function bodyOf(request: Request): JsonValue | undefined {
  try {
    return jsonBody(request)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
