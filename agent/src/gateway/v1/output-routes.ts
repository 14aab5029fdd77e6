/** The files that a job made, under /v1. */

import { MeshError } from '@comfymesh/protocol/errors'
import { isFinished, type JobState, jobStatuses } from '@comfymesh/protocol/job'
import { filesOf, type JobFile } from '@comfymesh/protocol/job-outputs'
import { z } from 'zod'
import type { JobRunner } from '../../execution/job-runner.ts'
import type { ModelFolders } from '../../models/folders.ts'
import { viewRoutes } from '../comfyui/view-routes.ts'
import { type Answer, json, type Request, type Route } from '../route.ts'
import { errorAnswer, parsedQuery, switchParameter } from './answers.ts'
import { findJob } from './job-routes.ts'
import { linksOf } from './job-schemas.ts'

export interface OutputModules {
  readonly runner: Pick<JobRunner, 'job' | 'subscribe'>
  readonly folders: ModelFolders
}

/** Proxies give up on requests that take longer. */
const MAX_WAIT_SECONDS = 600

const parameters = {
  wait: z.coerce.number().min(0).max(MAX_WAIT_SECONDS).default(0),
  index: z.coerce.number().int().min(0).optional(),
  list: switchParameter,
}

const listSchema = z.object({
  id: z.string(),
  files: z.array(
    z.object({
      index: z.number(),
      nodeId: z.string(),
      filename: z.string(),
      subfolder: z.string(),
      type: z.enum(['input', 'output', 'temp']),
      url: z.string(),
    }),
  ),
})

const waitingSchema = z.object({ id: z.string(), status: z.enum(jobStatuses) })

export function outputRoutes(modules: OutputModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/jobs/:id/output',
      documentation: {
        summary: 'What a job made',
        description:
          'The picture itself when there is one; a list when there are none or several. ' +
          'Files that were saved; where a job only showed pictures, those.',
        parameters: {
          wait: {
            description: 'For how many seconds to wait until the job has ended',
            schema: parameters.wait,
          },
          index: { description: 'The file of this place in the list', schema: parameters.index },
          list: {
            description: 'The list, also when there is one',
            schema: z.boolean().optional(),
          },
        },
        answers: {
          200: {
            description: 'The file, or the list',
            contentType: 'image/png',
            schema: listSchema,
          },
          202: { description: 'The job has not ended yet', schema: waitingSchema },
          404: { description: 'There is no such job, or no such file of it' },
          409: { description: 'The job failed or was cancelled' },
        },
      },
      handle: (request) => output(modules, request),
    },
  ]
}

async function output({ runner, folders }: OutputModules, request: Request): Promise<Answer> {
  const { wait, index, list } = parsedQuery(parameters, request)
  const id = request.params.id!
  const state = await endOf(runner, id, wait)
  if (!isFinished(state)) {
    const { headers, ...answer } = json({ id, status: state.status }, 202)
    return { ...answer, headers: { ...headers, 'retry-after': 1 } }
  }
  const files = filesOf(state.outputs)
  if (state.status !== 'completed' && files.length === 0) return whyNot(state)
  if (index !== undefined) return fileAnswer(files[index], folders, request, id)
  if (files.length === 1 && !list) return fileAnswer(files[0], folders, request, id)
  return json({ id, files: files.map((file, at) => ({ index: at, ...file, url: urlOf(id, at) })) })
}

const urlOf = (id: string, index: number): string => `${linksOf(id).output}?index=${index}`

/** The job when it has ended, or as it is when the time is over. */
async function endOf(
  runner: OutputModules['runner'],
  id: string,
  waitSeconds: number,
): Promise<JobState> {
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const unsubscribe = runner.subscribe(({ event, state }) => {
    if (event.jobId === id && isFinished(state)) end()
  })
  const timer = setTimeout(end, waitSeconds * 1000)
  try {
    const state = await findJob(runner, id)
    if (isFinished(state) || waitSeconds === 0) return state
    await ended
    return await findJob(runner, id)
  } finally {
    clearTimeout(timer)
    unsubscribe()
  }
}

function whyNot({ request: { id }, error }: JobState): Answer {
  const cancelled = new MeshError('interrupted', `Job ${id} was cancelled.`, { details: { id } })
  return { ...errorAnswer(error ?? cancelled.toReport()), status: 409 }
}

/** As GET /view gives it: ranges, types and what browsers may do with it are the same. */
async function fileAnswer(
  file: JobFile | undefined,
  folders: ModelFolders,
  request: Request,
  id: string,
): Promise<Answer> {
  if (file === undefined) {
    const message = `Job ${id} has no such file. See ${linksOf(id).output}?list=true.`
    throw new MeshError('not_found', message, { details: { id } })
  }
  const { filename, subfolder, type } = file
  const view = viewRoutes({ folders }).find(({ path }) => path === '/view')!
  const query = new URLSearchParams({ filename, subfolder, type })
  const answer = await view.handle({ ...request, query })
  if (answer.status !== 404) return answer
  const message = `The file ${filename} that job ${id} made is not there any more.`
  throw new MeshError('not_found', message, { details: { id, filename, subfolder, type } })
}
