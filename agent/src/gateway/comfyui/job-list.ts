/** Jobs as ComfyUI's /api/jobs shows them: one shape for those that wait, run and ended. Pure. */
import { isFinished, type JobState, type JobStatus } from '@comfymesh/protocol/job'
import {
  durationMs,
  type JobEntry,
  type JobSummary,
  neverBegan,
  summariseJob,
} from '@comfymesh/protocol/job-summary'
import type { JsonObject } from '@comfymesh/protocol/json'
import { historyEntry } from './history.ts'
import { failureData } from './messages.ts'

const statusNames = {
  queued: 'pending',
  paused: 'pending',
  running: 'in_progress',
  completed: 'completed',
  failed: 'failed',
  interrupted: 'cancelled',
} as const satisfies Record<JobStatus, string>

export const jobStatuses: readonly string[] = [...new Set(Object.values(statusNames))]

export interface JobFilter {
  /** Names of ComfyUI; all where absent. */
  readonly statuses?: readonly string[]
  readonly workflowId?: string
  readonly sortBy: 'created_at' | 'execution_duration'
  readonly descending: boolean
  readonly offset: number
  readonly limit?: number
}

/**
 * The jobs that are asked for, on all pages, in their order. What workflow they are of is not
 * known here. As in ComfyUI, a job that was cancelled while it waited is in no list.
 */
export function listedJobs(all: readonly JobEntry[], filter: JobFilter): JobEntry[] {
  const { statuses, sortBy, descending } = filter
  const keyOf = sortBy === 'created_at' ? createdAt : durationMs
  const direction = descending ? -1 : 1
  return all
    .filter((job) => !neverBegan(job))
    .filter((job) => statuses?.includes(statusNames[job.status]) ?? true)
    .sort((a, b) => direction * (keyOf(a) - keyOf(b)))
}

/** A job in a list; what is not known is left out. */
export function jobItem(job: JobSummary): JsonObject {
  const { status, startedAtMs, finishedAtMs, shown } = job
  const item = {
    id: job.id,
    status: statusNames[status],
    priority: job.number,
    create_time: job.createdAtMs,
    ...(isFinished(job) && { execution_start_time: startedAtMs, execution_end_time: finishedAtMs }),
    ...(job.failure && {
      execution_error: { ...failureData(job, job.failure), timestamp: finishedAtMs ?? null },
    }),
    outputs_count: isFinished(job) ? shown.count : 0,
    previewable_outputs_count: isFinished(job) ? shown.previewableCount : 0,
    ...(isFinished(job) && { preview_output: shown.preview }),
    workflow_id: job.workflowId,
  }
  const known = Object.entries(item).filter(([, value]) => value !== undefined && value !== null)
  return Object.fromEntries(known) as JsonObject
}

/** A job by itself: its prompt, and what came of it where it ended. */
export function jobDetail(job: JobState): JsonObject {
  const { prompt, extraData } = job.request
  const { outputs, status } = historyEntry(job)
  return {
    ...jobItem(summariseJob(job)),
    ...(isFinished(job) && { outputs: outputs!, execution_status: status! }),
    workflow: { prompt: prompt as unknown as JsonObject, extra_data: extraData },
  }
}

function createdAt(job: JobEntry): number {
  return job.createdAtMs
}
