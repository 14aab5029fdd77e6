/** Jobs, as the agent's /v1/jobs lists and tells them. */
import type { JobState, JobStatus } from '@comfymesh/protocol/job'
import type { PromptSummary } from '@comfymesh/protocol/prompt-summary'
import type { FileName } from './comfyui.ts'
import { get } from './http.ts'

export interface JobSummary {
  readonly id: string
  readonly status: JobStatus
  readonly createdAtMs: number
  readonly startedAtMs?: number
  readonly finishedAtMs?: number
  readonly prompt: PromptSummary
  readonly files: readonly FileName[]
}

export interface JobPage {
  readonly jobs: readonly JobSummary[]
  readonly offset: number
  readonly hasMore: boolean
}

export interface JobQuery {
  readonly search: string
  readonly offset: number
  readonly limit: number
}

/** Finished jobs, the newest first. */
export function listFinished({ search, offset, limit }: JobQuery, signal?: AbortSignal) {
  const query = new URLSearchParams({
    status: 'completed',
    offset: String(offset),
    limit: String(limit),
    ...(search !== '' && { search }),
  })
  return get<JobPage>(`v1/jobs?${query}`, signal)
}

export const readJob = (id: string) => get<JobState>(`v1/jobs/${id}`)
