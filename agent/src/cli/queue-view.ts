/** The queue on a terminal, and which of its jobs a user means. Pure. */
import { duration } from '../base/duration.ts'
import { UsageError } from './arguments.ts'
import type { Queue, QueuedJob } from './queue-client.ts'
import type { Terminal } from './terminal.ts'

/** Enough of a job's id to tell it from others. */
const SHORT_ID = 8

/** A line that says it all, then one for each job. */
export function queueLines(
  { paused, pausedAtMs, summary, jobs }: Queue,
  terminal: Terminal,
): string[] {
  const since = pausedAtMs === undefined ? '' : ` since ${new Date(pausedAtMs).toLocaleString()}`
  const hint = `The queue is paused${since}; \`comfymesh queue resume\` starts it again.`
  return [
    summary,
    ...(paused ? [terminal.paint('yellow', hint)] : []),
    ...(jobs.length > 0 ? ['', ...table(jobs, terminal)] : []),
  ]
}

/** What became of jobs that were cancelled, by the queue after it. */
export function cancelledLines(ids: readonly string[], { jobs }: Queue): string[] {
  const isLeft = (id: string) => jobs.some((job) => job.id === id)
  const ending = ids.filter(isLeft)
  const ended = ids.filter((id) => !isLeft(id))
  return [
    ...(ended.length > 0 ? [`Cancelled: ${named(ended)}.`] : []),
    ...(ending.length > 0
      ? [`Being cancelled (the step that runs is its last): ${named(ending)}.`]
      : []),
  ]
}

const MOST_NAMED = 5

function named(ids: readonly string[]): string {
  const short = ids.slice(0, MOST_NAMED).map((id) => id.slice(0, SHORT_ID))
  const more = ids.length > MOST_NAMED ? [`${ids.length - MOST_NAMED} more`] : []
  return [...short, ...more].join(', ')
}

function table(jobs: readonly QueuedJob[], { paint }: Terminal): string[] {
  const rows = jobs.map((job, index) => [
    String(index + 1),
    job.id.slice(0, SHORT_ID),
    whenOf(job),
    job.estimateMs === null ? '?' : duration(job.estimateMs),
    [
      ...(job.priority === 0 ? [] : [`priority ${job.priority}`]),
      ...(job.question ? [job.question] : []),
    ].join(', '),
  ])
  const all = [['', 'job', 'when', 'takes', ''], ...rows]
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const lines = all.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd(),
  )
  return [paint('dim', lines[0]!), ...lines.slice(1)]
}

function whenOf({ status, startsInMs, remainingMs }: QueuedJob): string {
  if (status === 'paused') return 'asks'
  if (status === 'running')
    return typeof remainingMs === 'number' ? `runs, ${duration(remainingMs)} left` : 'runs'
  return typeof startsInMs === 'number' ? `in ${duration(startsInMs)}` : 'waits'
}

/**
 * The id of the job that a user means: by its place in the list, from 1, or by the beginning
 * of its id. @throws UsageError when there is none, or more than one.
 */
export function chosenJob({ jobs }: Queue, word: string): string {
  const places = jobs.length === 1 ? 'only 1' : `1 to ${jobs.length}`
  if (/^\d{1,5}$/.test(word)) {
    const job = jobs[Number(word) - 1]
    if (job !== undefined) return job.id
    throw new UsageError(
      jobs.length === 0 ? 'The queue is empty.' : `There is no job ${word}; there is ${places}.`,
    )
  }
  const fitting = jobs.filter(({ id }) => id.startsWith(word.toLowerCase()))
  if (fitting.length === 1) return fitting[0]!.id
  throw new UsageError(
    fitting.length === 0
      ? `No job of the queue has an id that begins with '${word}'. \`comfymesh queue\` lists them.`
      : `${fitting.length} jobs have an id that begins with '${word}'. Say more of it.`,
  )
}
