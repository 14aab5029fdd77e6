/** What /v1 tells of jobs, as the OpenAPI document describes it. */
import { jobStatuses } from '@comfymesh/protocol/job'
import { shownFileSchema } from '@comfymesh/protocol/job-outputs'
import type { JobSummary } from '@comfymesh/protocol/job-summary'
import { planSchema } from '@comfymesh/protocol/plan'
import { promptSummarySchema } from '@comfymesh/protocol/prompt-summary'
import { z } from 'zod'

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
  question: z.string().optional().describe('Of a paused job: POST …/answer'),
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
  plannedAtMs: milliseconds.optional(),
  earlierPlans: z
    .array(z.object({ plan: planSchema, plannedAtMs: milliseconds }))
    .describe('Those that others have replaced, the oldest first'),
  pause: z
    .object({ question: z.string(), plan: planSchema, atMs: milliseconds })
    .optional()
    .describe('Of a paused job: what its user is asked, and what runs when the answer is go'),
  nodes: z.array(
    z.looseObject({
      nodeId: z.string(),
      status: z.enum(['running', 'finished']),
      value: z.number(),
      max: z.number(),
      cached: z.boolean(),
      warnings: z
        .array(z.string())
        .optional()
        .describe('What it ignored though it went on, such as an embedding that is missing'),
    }),
  ),
  attempts: z
    .array(
      z.looseObject({
        attemptId: z.string(),
        stageId: z.string(),
        peerId: z.string(),
        status: z.enum(['sent', 'computing', 'finished', 'failed', 'given-up']),
        sentAtMs: milliseconds,
        beganAtMs: milliseconds.optional(),
        endedAtMs: milliseconds.optional(),
        error: jobError.optional(),
      }),
    )
    .describe('Every attempt at every stage, in the order in which they were sent'),
  stages: z
    .array(
      z.looseObject({
        stageId: z.string(),
        peerId: z.string(),
        elapsedMs: z.number(),
        waitMs: z.number(),
        transferMs: z.number(),
        transferBytes: z.number(),
        computeMs: z.number(),
      }),
    )
    .describe('The stages that finished'),
  transferBytes: z.number().describe('Bytes of values that went from one peer to another'),
  outputs: nodeOutputs.describe('What output nodes showed'),
  error: jobError.optional(),
  endNodeId: z.string().optional(),
})

/** A job as a list tells it. */
export function listedJob(job: JobSummary): z.infer<typeof jobSummarySchema> {
  const { id, status, number, createdAtMs, startedAtMs, finishedAtMs, error, question } = job
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
    ...(question !== undefined && { question }),
    links: linksOf(id),
  }
}
