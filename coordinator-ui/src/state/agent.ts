/**
 * The live side of the page: the connection to the agent, the jobs as they change, and the
 * previews of those that this page submitted. One of each; views read them with `useStore`.
 */
import { foldJob, isFinished, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import { parseJson } from '@comfymesh/protocol/json'
import { at } from '../api/http.ts'
import { listFinished, readJob } from '../api/jobs.ts'
import { type Connection, openSocket } from '../api/socket.ts'
import { createStore } from './store.ts'

/** By id, in the order in which they were submitted. */
export type Jobs = ReadonlyMap<string, JobState>

/** Where the picture of a job in work stands. */
export interface LivePreview {
  readonly jobId: string
  /** Address of the picture in this page's memory. */
  readonly url: string
}

/** Enough to follow the queue; older ones come from the history. */
const MAX_ENDED_JOBS = 100
/** Those that are next; the others are read when their turn comes. */
const MAX_CAUGHT_UP = 100
/** As many as stand below the picture. */
const MAX_LATEST = 12

const socket = openSocket()
export const clientId = socket.clientId
export const connection = createStore<Connection>(socket.connection)
export const jobs = createStore<Jobs>(new Map())
/** Whether the queue starts no further job. */
export const isQueuePaused = createStore(false)
export const preview = createStore<LivePreview | undefined>(undefined)
/** Counts the jobs that ended while this page looked on: a reason to read the history again. */
export const endings = createStore(0)

socket.onConnection(() => connection.set(socket.connection))
socket.onPreview(({ jobId, picture }) => {
  const before = preview.get()
  preview.set({ jobId, url: URL.createObjectURL(picture) })
  // Later, so that the picture on the screen does not flicker.
  if (before) setTimeout(() => URL.revokeObjectURL(before.url), 1000)
})

/**
 * Folds the agent's stream of events, by the same function as the agent itself. The browser
 * opens a broken stream anew and is told what it missed, or else which jobs there are.
 */
export function followJobs(): void {
  const source = new EventSource(at('v1/events'))
  source.addEventListener('jobs', ({ data }) => {
    const told = parseJson(data) as unknown as { readonly jobs: readonly { readonly id: string }[] }
    void catchUp(told.jobs.map(({ id }) => id))
    void showLatest()
  })
  source.addEventListener('queue', ({ data }) => {
    isQueuePaused.set((parseJson(data) as { readonly paused: boolean }).paused)
  })
  source.addEventListener('event', ({ data }) => hear(parseJson(data) as unknown as JobEvent))
}

/** Events of jobs whose state is being asked for. */
const early = new Map<string, JobEvent[]>()

function hear(event: JobEvent): void {
  const waiting = early.get(event.jobId)
  if (waiting) return void waiting.push(event)
  const before = jobs.get().get(event.jobId)
  if (before === undefined && event.type !== 'accepted') return void catchUp([event.jobId])
  const after = foldJob(before, event)
  keep(after)
  if (isFinished(after)) endings.set((count) => count + 1)
}

/** The latest pictures, so that a page that was just opened is not empty. */
async function showLatest(): Promise<void> {
  const page = await listFinished({ search: '', offset: 0, limit: MAX_LATEST }).catch(
    () => undefined,
  )
  await catchUp((page?.jobs ?? []).map(({ id }) => id))
}

/** Reads the states of these jobs, and of those that the page believes unfinished. */
async function catchUp(ids: readonly string[]): Promise<void> {
  const doubtful = [...jobs.get().values()].filter((job) => !isFinished(job))
  const asked = new Set([
    ...ids.slice(0, MAX_CAUGHT_UP),
    ...doubtful.map(({ request }) => request.id),
  ])
  for (const id of asked) early.set(id, [])
  await Promise.all(
    [...asked].map(async (id) => {
      const state = await readJob(id).catch(() => undefined)
      const missed = early.get(id) ?? []
      early.delete(id)
      if (state) keep(state)
      // An event that the state knows already changes nothing when it is folded again.
      for (const event of missed) hear(event)
    }),
  )
}

function keep(state: JobState): void {
  jobs.set((before) => {
    const after = new Map(
      [...before.values(), state]
        .sort((a, b) => a.request.createdAtMs - b.request.createdAtMs)
        .map((job) => [job.request.id, job.request.id === state.request.id ? state : job]),
    )
    const ended = [...after.values()].filter(isFinished)
    for (const { request } of ended.slice(0, Math.max(0, ended.length - MAX_ENDED_JOBS))) {
      after.delete(request.id)
    }
    return after
  })
}
