/**
 * How finished jobs lie on disk: the whole state under the job's id, and a summary for the lists.
 * The key of a summary holds all that lists are filtered and sorted by, so that nobody reads
 * summaries to find a page of them.
 */
import { type JobState, nothingRan } from '@comfymesh/protocol/job'
import {
  entryOf,
  type JobEntry,
  type JobSummary,
  summariseJob,
} from '@comfymesh/protocol/job-summary'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { Write } from './database.ts'

/** Sorts after every character that an id or a number can hold. */
export const END = '\uffff'

/** In the order of ending. */
export const summaryRange = { gt: 'finished/', lt: `finished/${END}` }

const TIME_DIGITS = 15

export function jobKey(id: string): string {
  return `job/${id}`
}

/** `finished/<ended>/<created>/<started, or nothing>/<status>/<id>`, in milliseconds. */
export function summaryKey(job: JobEntry): string {
  const { id, status, createdAtMs, startedAtMs, finishedAtMs } = job
  const stamps = [finishedAtMs, createdAtMs, startedAtMs].map(stampOf)
  return ['finished', ...stamps, status, id].join('/')
}

export function entryOfKey(summaryKey: string): JobEntry {
  const [, finished, created, started, status, ...id] = summaryKey.split('/')
  return {
    id: id.join('/'),
    status: status as JobEntry['status'],
    createdAtMs: Number(created),
    ...(started !== '' && { startedAtMs: Number(started) }),
    finishedAtMs: Number(finished),
  }
}

/** What is written when a job ends. */
export function finishedRows(state: JobState): Write[] {
  return [
    { type: 'put', key: jobKey(state.request.id), value: stringifyJson(state) },
    summaryRow(state),
  ]
}

export function summaryRow(state: JobState): Write {
  const value = stringifyJson(summariseJob(state))
  return { type: 'put', key: summaryKey(entryOf(state)), value }
}

export function removal(job: JobEntry): Write[] {
  return [
    { type: 'del', key: summaryKey(job) },
    { type: 'del', key: jobKey(job.id) },
  ]
}

/**
 * Rows are written by this program only, from events that were checked. Those of releases that knew
 * one machine say nothing of attempts and values.
 */
export function parseState(text: string): JobState {
  const state = parseJson(text) as unknown as JobState
  const stages = (state.stages ?? []).map((stage) => ({ ...unmeasured, ...stage }))
  return { ...nothingRan, ...state, stages }
}

const unmeasured = {
  attemptId: '',
  waitMs: 0,
  transferMs: 0,
  transferBytes: 0,
  computeMs: 0,
  values: [],
}

export function parseSummary(text: string): JobSummary {
  return parseJson(text) as unknown as JobSummary
}

function stampOf(timeMs: number | undefined): string {
  return timeMs === undefined ? '' : String(timeMs).padStart(TIME_DIGITS, '0')
}
