/** What /v1 tells of jobs, as the OpenAPI document describes it. */
import { shownFileSchema } from '@comfymesh/protocol/job-outputs'
import type { JobSummary } from '@comfymesh/protocol/job-summary'
import { planSchema } from '@comfymesh/protocol/plan'
import { promptSummarySchema } from '@comfymesh/protocol/prompt-summary'
import { z } from 'zod'

export const jobStatuses = ['queued', 'running', 'completed', 'failed', 'interrupted'] as const

const status = z.enum(jobStatuses)
const milliseconds = z.number().describe('Milliseconds since 1970')
const nodeOutputs = z.record(z.string(), z.record(z.string(), z.unknown()))
const jobError = z.object({
  code: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()),
})

export const linksSchema = z.object({
  self: z.string(),
  output: z.string(),
  events: z.string(),
  cancel: z.string().describe('POST'),
})

export function linksOf(id: string): z.infer<typeof linksSchema> {
  const self = `/v1/jobs/${id}`
  return { self, output: `${self}/output`, events: `${self}/events`, cancel: `${self}/cancel` }
}

export const jobSummarySchema = z.object({
  id: z.string(),
  status,
  number: z.number().describe('The place in the queue: the lowest runs first'),
  createdAtMs: milliseconds,
  startedAtMs: milliseconds.optional(),
  finishedAtMs: milliseconds.optional(),
  prompt: promptSummarySchema,
  files: z.array(shownFileSchema).describe('What it made: the names that GET /view takes'),
  error: jobError.optional(),
  links: linksSchema,
})

export const jobStateSchema = z.looseObject({
  request: z.looseObject({
    id: z.string(),
    number: z.number(),
    prompt: z.record(z.string(), z.record(z.string(), z.unknown())),
    extraData: z.record(z.string(), z.unknown()),
    outputs: z.array(z.string()).describe('The output nodes that run'),
    createdAtMs: milliseconds,
  }),
  status,
  startedAtMs: milliseconds.optional(),
  finishedAtMs: milliseconds.optional(),
  plan: planSchema.optional(),
  nodes: z.array(
    z.looseObject({
      nodeId: z.string(),
      status: z.enum(['running', 'finished']),
      value: z.number(),
      max: z.number(),
      cached: z.boolean(),
    }),
  ),
  stages: z.array(z.looseObject({ stageId: z.string(), elapsedMs: z.number() })),
  outputs: nodeOutputs.describe('What output nodes showed'),
  error: jobError.optional(),
  endNodeId: z.string().optional(),
})

/** A job as a list tells it. */
export function listedJob(job: JobSummary): z.infer<typeof jobSummarySchema> {
  const { id, status, number, createdAtMs, startedAtMs, finishedAtMs, error } = job
  return {
    id,
    status,
    number,
    createdAtMs,
    ...(startedAtMs !== undefined && { startedAtMs }),
    ...(finishedAtMs !== undefined && { finishedAtMs }),
    prompt: job.prompt,
    files: [...job.files],
    ...(error !== undefined && { error }),
    links: linksOf(id),
  }
}
