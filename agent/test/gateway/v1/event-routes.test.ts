import type { Readable } from 'node:stream'
import { foldJob, type JobEvent } from '@comfymesh/protocol/job'
import { parseJson } from '@comfymesh/protocol/json'
import t from 'tap'
import type { JobUpdate } from '../../../src/execution/live-job.ts'
import type { Request } from '../../../src/gateway/route.ts'
import { createEventMemory } from '../../../src/gateway/v1/event-memory.ts'
import { eventRoutes } from '../../../src/gateway/v1/event-routes.ts'

const stamp = { jobId: 'job', atMs: 1 }
const request = { id: 'job', number: 1, prompt: {}, extraData: {}, outputs: [], createdAtMs: 1 }
const state = foldJob(undefined, { ...stamp, type: 'accepted', request })
const progress = (value: number): JobEvent => ({
  ...stamp,
  type: 'node-progress',
  nodeId: '1',
  value,
  max: 9,
})

function news(limits?: { events: number; bytes: number }) {
  const listeners = new Set<(update: JobUpdate) => void>()
  const pauseListeners = new Set<() => void>()
  let pausedAtMs: number | undefined
  const runner = {
    running: () => [state],
    pending: () => [],
    job: async () => state,
    subscribe: (listener: (update: JobUpdate) => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    pausedAtMs: () => pausedAtMs,
    onPaused: (listener: () => void) => {
      pauseListeners.add(listener)
      return () => pauseListeners.delete(listener)
    },
  }
  const events = createEventMemory({ runner }, limits)
  const [route, log] = eventRoutes({ runner, events })
  return {
    listeners,
    pauseListeners,
    events,
    pauses(atMs?: number) {
      pausedAtMs = atMs
      for (const listener of pauseListeners) listener()
    },
    happens: (event: JobEvent) => {
      for (const listener of listeners) listener({ event, state })
    },
    async logOf(id: string) {
      const { body } = await log!.handle({ params: { id } } as unknown as Request)
      return (JSON.parse(String(body)) as { events: JobEvent[] }).events
    },
    listen(lastId?: string, query = '') {
      const headers = lastId === undefined ? {} : { 'last-event-id': lastId }
      const asked = { headers, query: new URLSearchParams(query) } as unknown as Request
      const answer = route!.handle(asked) as { body: Readable }
      return answer.body
    },
  }
}

interface Told {
  readonly name: string
  readonly id?: string
  readonly data: { readonly jobs?: unknown[]; readonly value?: number; readonly paused?: boolean }
}

/** What lies ready to be read of jobs. */
function told(stream: Readable): Told[] {
  return heard(stream).filter(({ name }) => name !== 'queue')
}

/** What lies ready to be read. */
function heard(stream: Readable): Told[] {
  const text = String(stream.read() ?? '')
  return text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
      const id = field('id')
      const data = parseJson(field('data')!) as Told['data']
      return { name: field('event')!, ...(id !== undefined && { id }), data }
    })
}

t.test('the jobs as they are, then what happens', async (t) => {
  const { happens, listen } = news()
  const stream = listen()
  t.match(told(stream), [{ name: 'jobs', data: { jobs: [{ id: 'job', status: 'queued' }] } }])
  happens(progress(1))
  happens(progress(2))
  t.match(told(stream), [
    { name: 'event', id: /.+/, data: { value: 1 } },
    { name: 'event', id: /.+/, data: { value: 2 } },
  ])
})

t.test('whether the queue is paused is told to whoever comes, and when it changes', async (t) => {
  const { pauses, happens, listen } = news()
  const stream = listen()
  const queue = (from: Readable) =>
    heard(from).flatMap(({ name, data }) => (name === 'queue' ? [data] : []))
  t.strictSame(queue(stream), [{ paused: false }])
  pauses(5)
  t.strictSame(queue(stream), [{ paused: true, pausedAtMs: 5 }])
  happens(progress(1))
  const [{ id }] = told(stream) as [Told]
  t.strictSame(queue(listen(id)), [{ paused: true, pausedAtMs: 5 }], 'also who comes back')
  pauses()
  t.strictSame(queue(stream), [{ paused: false }])
})

t.test('a client that comes back hears what it missed, and nothing twice', async (t) => {
  const { happens, listen } = news()
  const stream = listen()
  for (const value of [1, 2, 3, 4]) happens(progress(value))
  const ids = told(stream).map(({ id }) => id)
  const values = (lastId?: string, query?: string) =>
    told(listen(lastId, query)).map(({ name, data }) => (name === 'jobs' ? name : data.value))
  t.strictSame(values(ids[2]), [3, 4])
  t.strictSame(values(ids[4]), [])
  t.strictSame(values(undefined, `lastEventId=${ids[3]}`), [4])
  for (const unknown of [
    '',
    'x',
    'x-1',
    `${ids[1]!.split('-')[0]}-99`,
    ids[1]!.replace(/\d+$/, '-1'),
  ])
    t.strictSame(values(unknown), ['jobs'], unknown)
})

t.test('memory has bounds; what is forgotten is told as the jobs as they are', async (t) => {
  for (const limits of [
    { events: 2, bytes: 1e6 },
    { events: 100, bytes: 200 },
  ]) {
    const { happens, listen } = news(limits)
    const stream = listen()
    for (const value of [1, 2, 3, 4]) happens(progress(value))
    const ids = told(stream).map(({ id }) => id)
    t.strictSame(
      told(listen(ids[1])).map(({ name }) => name),
      ['jobs'],
    )
    t.strictSame(
      told(listen(ids[2])).map(({ data }) => data.value),
      [3, 4],
    )
  }
})

t.test('a client that does not read is let go', async (t) => {
  const { happens, listen } = news()
  const stream = listen()
  const nodeId = 'n'.repeat(1024 * 1024)
  for (let i = 0; i < 20; i++) happens({ ...progress(1), nodeId } as JobEvent)
  t.ok(stream.destroyed)
})

t.test('nothing is kept of clients that went, nor after the end', async (t) => {
  const { happens, listen, events, listeners, pauseListeners } = news()
  const stream = listen()
  stream.destroy()
  await new Promise(setImmediate)
  const lengthBefore = stream.readableLength
  happens(progress(1))
  t.equal(stream.readableLength, lengthBefore)
  t.equal(pauseListeners.size, 0)
  events.close()
  t.equal(listeners.size, 0)
})

t.test('the log of a job is what is remembered of it, without its steps', async (t) => {
  const { happens, logOf } = news()
  const id = state.request.id
  happens({ type: 'started', jobId: id, atMs: 1 })
  happens({ type: 'started', jobId: 'another', atMs: 2 })
  happens(progress(3))
  happens({ type: 'completed', jobId: id, atMs: 4 })
  t.strictSame(
    (await logOf(id)).map(({ type }) => type),
    ['started', 'completed'],
  )
})
