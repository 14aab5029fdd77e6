/** Jobs, as the agent's /v1/jobs lists and tells them, and answers to their questions. */
import type { JobAnswer, JobEvent, JobState, JobStatus } from '@comfymesh/protocol/job'
import type { Plan } from '@comfymesh/protocol/plan'
import type { PromptSummary } from '@comfymesh/protocol/prompt-summary'
import type { FileName } from './comfyui.ts'
import { get, post } from './http.ts'

export interface JobSummary {
  readonly id: string
  readonly status: JobStatus
  readonly createdAtMs: number
  readonly startedAtMs?: number
  readonly finishedAtMs?: number
  readonly prompt: PromptSummary
  readonly files: readonly FileName[]
  readonly error?: { readonly message: string }
}

export interface JobPage {
  readonly jobs: readonly JobSummary[]
  readonly offset: number
  readonly hasMore: boolean
}

export interface JobQuery {
  /** Those that ended in one of these ways. */
  readonly statuses: readonly JobStatus[]
  readonly search: string
  /** Submitted between these moments. */
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
  readonly offset: number
  readonly limit: number
}

/** The newest first. */
export function listJobs(asked: JobQuery, signal?: AbortSignal) {
  const { statuses, search, sinceMs, untilMs, offset, limit } = asked
  const query = new URLSearchParams({
    status: statuses.join(),
    offset: String(offset),
    limit: String(limit),
    ...(search !== '' && { search }),
    ...(sinceMs !== undefined && { since: String(sinceMs) }),
    ...(untilMs !== undefined && { until: String(untilMs) }),
  })
  return get<JobPage>(`v1/jobs?${query}`, signal)
}

/** Finished jobs, the newest first. */
export function listFinished(
  asked: Pick<JobQuery, 'search' | 'offset' | 'limit'>,
  signal?: AbortSignal,
) {
  return listJobs({ statuses: ['completed'], ...asked }, signal)
}

const path = (id: string) => `v1/jobs/${encodeURIComponent(id)}`

export const readJob = (id: string, signal?: AbortSignal) => get<JobState>(path(id), signal)

/** What the agent still knows of what happened to a job. */
export async function readJobLog(id: string, signal?: AbortSignal) {
  return (await get<{ events: JobEvent[] }>(`${path(id)}/log`, signal)).events
}

export const answerJob = (id: string, answer: JobAnswer) => post(`${path(id)}/answer`, { answer })

/** The plan that an answer would lead to. @throws Refused saying why nobody can run it. */
export async function previewAnswer(
  id: string,
  answer: Exclude<JobAnswer, 'cancel'>,
): Promise<Plan> {
  return (await post<{ plan: Plan }>(`${path(id)}/answer/plan`, { answer })).plan
}
