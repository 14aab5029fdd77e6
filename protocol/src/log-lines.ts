/** Lines of an agent's log, as /v1/logs tells them and peers tell each other. */
import { z } from 'zod'

export const logLevels = ['debug', 'info', 'warn', 'error'] as const

export type LogLevel = (typeof logLevels)[number]

export const logLineSchema = z.object({
  /** Grows from line to line, over restarts too. */
  id: z.number(),
  atMs: z.number(),
  level: z.enum(logLevels),
  message: z.string(),
})

/** More is asked for with another request. */
export const MAX_LOG_LINES = 500

export const logRequestSchema = z.object({
  /** Only lines after this one; without it, the last ones. */
  after: z.number().optional(),
  limit: z.number().int().min(1).max(MAX_LOG_LINES),
})

export type LogLine = z.infer<typeof logLineSchema>
export type LogRequest = z.infer<typeof logRequestSchema>
