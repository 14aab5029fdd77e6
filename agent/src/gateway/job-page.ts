/** A page of a list of jobs, for both APIs: of many jobs only those on the page are read. */
import type { JobEntry, JobSummary } from '@comfymesh/protocol/job-summary'
import type { JobRunner } from '../execution/job-runner.ts'

export interface PageOptions {
  /** How many are passed over. */
  readonly offset: number
  /** How many at most; all where absent. */
  readonly limit?: number | undefined
  /** What cannot be told without reading a job's summary; all are asked for where absent. */
  readonly isAsked?: ((summary: JobSummary) => boolean) | undefined
  /** Nobody needs to know whether there are more than so many; summaries are read no further. */
  readonly countTo?: number
}

export interface JobPage {
  readonly jobs: readonly JobSummary[]
  /** How many there are on all pages. */
  readonly total: number
}

/** How many summaries that may not be asked for are in memory at a time. */
const BATCH_SIZE = 200

/** @param all in the order of the list. */
export async function pageOf(
  runner: Pick<JobRunner, 'summaries'>,
  all: readonly JobEntry[],
  { offset, limit = all.length, isAsked, countTo = all.length }: PageOptions,
): Promise<JobPage> {
  const end = offset + limit
  if (isAsked === undefined)
    return { jobs: await runner.summaries(all.slice(offset, end)), total: all.length }
  const jobs: JobSummary[] = []
  let total = 0
  for (let at = 0; at < all.length && total < countTo; at += BATCH_SIZE) {
    const summaries = await runner.summaries(all.slice(at, at + BATCH_SIZE))
    for (const summary of summaries.filter(isAsked)) {
      if (total >= offset && total < end) jobs.push(summary)
      total += 1
    }
  }
  return { jobs, total }
}
