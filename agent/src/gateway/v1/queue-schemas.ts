/** What clients may say about the queue, and what they are told. */
import { z } from 'zod'
import { MAX_PRIORITY } from '../../planning/queue-order.ts'

export type QueueChange = 'pause' | 'resume' | 'move' | 'priority' | 'cancel' | 'clear'

const ids = z.array(z.string()).min(1).describe('Jobs; they keep the order in which they are named')

const target = z.union([
  z.object({ to: z.enum(['front', 'end']) }),
  z.object({ before: z.string() }),
  z.object({ after: z.string() }),
])

/** The bodies of the changes that take one. */
export const bodies = {
  move: z.object({ ids, target }),
  priority: z.object({
    ids,
    priority: z.number().int().min(-MAX_PRIORITY).max(MAX_PRIORITY),
  }),
  cancel: z.object({ ids }),
}

export const summarySchema = z.object({
  paused: z.boolean(),
  pausedAtMs: z.number().optional(),
  queued: z.number().describe('How many jobs wait'),
  running: z.number().describe('How many jobs run'),
  remainingMs: z
    .number()
    .nullable()
    .describe('Until the queue is empty, from learned times; null where that is not known yet'),
  summary: z.string().describe('10 queued, 1 running, about 3 min 50 s'),
})

const jobSchema = z.object({
  id: z.string(),
  status: z.enum(['queued', 'paused', 'running']),
  question: z.string().optional().describe('Of a paused job: POST /v1/jobs/:id/answer'),
  number: z.number().describe('The place: the lowest runs first'),
  priority: z.number(),
  createdAtMs: z.number(),
  estimateMs: z.number().nullable().describe('How long the whole job takes'),
  startsInMs: z.number().nullable().optional().describe('Of a job that waits'),
  startedAtMs: z.number().optional(),
  remainingMs: z.number().nullable().optional().describe('Of a job that runs'),
})

export const queueSchema = summarySchema.extend({ jobs: z.array(jobSchema) })
