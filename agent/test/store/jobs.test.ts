import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { JobEntry } from '@comfymesh/protocol/job-summary'
import t, { type Test } from 'tap'
import { type Database, openDatabase } from '../../src/store/database.ts'
import { type HistoryRange, type JobStore, openJobStore } from '../../src/store/jobs.ts'

async function open(t: Test, dataDir: string = t.testdir()) {
  const database = await openDatabase(dataDir)
  t.teardown(() => database.close())
  const warnings: string[] = []
  const store = await openJobStore(database, (message) => warnings.push(message))
  return { store, database, dataDir, warnings }
}

const accepted = (id: string): JobEvent => ({
  type: 'accepted',
  jobId: id,
  atMs: 1,
  request: {
    id,
    number: 1,
    prompt: { 1: { class_type: 'TN_Seed', inputs: { seed: 18446744073709551615n } } },
    extraData: {},
    outputs: ['1'],
    createdAtMs: 1,
  },
})

async function append(store: JobStore, events: JobEvent[]): Promise<JobState> {
  let state: JobState | undefined
  for (const event of events) {
    state = foldJob(state, event)
    await store.append({ state, event })
  }
  return state!
}

const ended = (id: string, atMs: number): JobEvent[] => [
  accepted(id),
  { type: 'started', jobId: id, atMs: 2 },
  { type: 'completed', jobId: id, atMs },
]

t.test('what is unfinished is folded again after a restart', async (t) => {
  const { store, database, dataDir } = await open(t)
  const events: JobEvent[] = [
    accepted('a'),
    { type: 'started', jobId: 'a', atMs: 2 },
    { type: 'node-started', jobId: 'a', atMs: 3, nodeId: '1', peerId: 'p' },
  ]
  const running = await append(store, events)
  const queued = await append(store, [accepted('b')])
  await append(store, ended('c', 9))
  await database.close()

  const again = await open(t, dataDir)
  t.strictSame(await again.store.unfinished(), [running, queued])
  t.equal(running.request.prompt[1]!.inputs.seed, 18446744073709551615n)
  const end: JobEvent = { type: 'completed', jobId: 'a', atMs: 5 }
  const done = foldJob(running, end)
  await again.store.append({ state: done, event: end })
  t.strictSame(await again.store.unfinished(), [queued], 'its events are gone')
  t.strictSame(await again.store.finished('a'), done)
  t.equal(await again.store.finished('b'), undefined)
})

t.test('history', async (t) => {
  const { store } = await open(t)
  for (const [id, atMs] of [
    ['x', 30],
    ['y', 9],
    ['z', 200],
  ] as const)
    await append(store, ended(id, atMs))
  const ids = async (last?: number) =>
    (await store.history(last === undefined ? {} : { last })).map(({ request }) => request.id)
  t.strictSame(await ids(), ['y', 'x', 'z'], 'in the order of ending')
  t.strictSame(await ids(2), ['x', 'z'])
  t.strictSame(await ids(0), [])
  await store.forget(['x', 'unknown'])
  t.strictSame(await ids(), ['y', 'z'])
  t.equal(await store.finished('x'), undefined)
  await store.forget('all')
  t.strictSame(await ids(), [])
})

t.test('a part of the history', async (t) => {
  const { store, database } = await open(t)
  for (const id of ['a', 'b', 'c', 'd', 'e']) await append(store, ended(id, id.charCodeAt(0)))
  await append(store, [accepted('x'), { type: 'interrupted', jobId: 'x', atMs: 98 }])
  const ids = async (range: HistoryRange) =>
    (await store.history(range)).map(({ request }) => request.id)
  t.strictSame(await ids({ offset: 1, limit: 2 }), ['b', 'c'])
  t.strictSame(await ids({ offset: 3 }), ['d', 'e'])
  t.strictSame(await ids({ offset: 9 }), [])
  t.strictSame(await ids({ limit: 0 }), [])
  const read: string[] = []
  const { getMany } = database
  Object.assign(database, {
    getMany: (keys: string[]) => {
      read.push(...keys)
      return getMany.call(database, keys, {})
    },
  })
  await ids({ offset: 2, limit: 1 })
  t.strictSame(read, ['job/c'], 'no other is read')
})

t.test('lists are made of summaries, not of states', async (t) => {
  const { store, database, dataDir } = await open(t)
  await append(store, ended('a', 30))
  await append(store, ended('b', 9))
  await append(store, [accepted('c'), { type: 'interrupted', jobId: 'c', atMs: 40 }])
  await append(store, [accepted('waits')])
  const entries = [
    { id: 'b', status: 'completed', createdAtMs: 1, startedAtMs: 2, finishedAtMs: 9 },
    { id: 'a', status: 'completed', createdAtMs: 1, startedAtMs: 2, finishedAtMs: 30 },
    { id: 'c', status: 'interrupted', createdAtMs: 1, finishedAtMs: 40 },
  ]
  const byEnd = (one: JobEntry, other: JobEntry) => one.finishedAtMs! - other.finishedAtMs!
  t.strictSame(store.entries().sort(byEnd), entries)
  await database.close()

  const again = await open(t, dataDir)
  t.strictSame(again.store.entries().sort(byEnd), entries, 'after a restart too')
  const read: string[] = []
  const { getMany } = again.database
  Object.assign(again.database, {
    getMany: (keys: string[]) => {
      read.push(...keys)
      return getMany.call(again.database, keys, {})
    },
  })
  const [a, b, c] = ['a', 'b', 'c'].map((id) => entries.find((job) => job.id === id) as JobEntry)
  const summaries = await again.store.summaries([c!, a!])
  t.match(summaries, [
    { id: 'c', status: 'interrupted', number: 1 },
    { id: 'a', prompt: { seed: '18446744073709551615' }, files: [] },
  ])
  t.ok(read.length === 2 && read.every((key) => key.startsWith('finished/')), 'no state is read')
  await again.store.forget(['a'])
  const left = await again.store.summaries([a!, b!])
  t.strictSame(
    left.map(({ id }) => id),
    ['b'],
  )
  t.strictSame(
    again.store
      .entries()
      .map(({ id }) => id)
      .sort(),
    ['b', 'c'],
  )
})

t.test('a new job takes the place of an old one with its id', async (t) => {
  const { store } = await open(t)
  await append(store, ended('a', 5))
  await append(store, [accepted('a')])
  t.strictSame(await store.history(), [])
  t.strictSame(store.entries(), [])
  t.equal(await store.finished('a'), undefined)
  t.equal((await store.unfinished()).length, 1)
})

t.test('the counter never goes back', async (t) => {
  const { store, database, dataDir } = await open(t)
  t.strictSame([store.nextNumber(), store.nextNumber()], [0, 1])
  await append(store, [accepted('a')])
  await database.close()
  t.equal((await open(t, dataDir)).store.nextNumber(), 2)
})

t.test('jobs that never began take no places of others in the history', async (t) => {
  const { store } = await open(t)
  await append(store, ended('ran', 5))
  for (const id of ['x', 'y', 'z'])
    await append(store, [accepted(id), { type: 'interrupted', jobId: id, atMs: 9 }])
  const ids = (await store.history({ last: 2 })).map(({ request }) => request.id)
  t.strictSame(ids, ['ran'])
  t.equal((await store.finished('x'))?.status, 'interrupted')
  await store.forget('all')
  t.equal(await store.finished('x'), undefined)
})

t.test('a full disk: said in words, and the end of a job is known all the same', async (t) => {
  const { store, database, dataDir } = await open(t)
  const events = ended('a', 9)
  const running = await append(store, events.slice(0, 2))
  const full = async () => {
    throw new Error('IO error: No space left on device')
  }
  const { batch } = database
  Object.assign(database, { batch: full })
  const told = { code: 'storage_failed', message: /No space left on device.*Free some space/ }
  const state = foldJob(running, events[2]!)
  await t.rejects(store.append({ state, event: events[2]! }), told)
  Object.assign(database, { batch })
  const ids = async () => (await store.history()).map(({ request }) => request.id).sort()
  t.strictSame(await store.finished('a'), state)
  t.strictSame(await ids(), ['a'])
  t.strictSame(await store.history({ last: 1 }), [state])
  t.strictSame(await store.history({ offset: 1 }), [])
  t.match(await store.summaries(store.entries()), [{ id: 'a', status: 'completed' }])
  t.strictSame(await store.unfinished(), [running], 'a restart would run it again')
  await append(store, ended('b', 10))
  t.strictSame(await ids(), ['a', 'b'])
  t.strictSame(await store.unfinished(), [], 'written with what came next')
  await database.close()
  const again = (await open(t, dataDir)).store
  t.strictSame(await again.finished('a'), state)
})

t.test('what happens to a job whose end the disk refused', async (t) => {
  const { store, database } = await open(t)
  const refuse = async (id: string) => {
    const events = ended(id, 9)
    const running = await append(store, events.slice(0, 2))
    const { batch } = database
    Object.assign(database, { batch: async () => Promise.reject(new Error('full')) })
    const state = foldJob(running, events[2]!)
    await t.rejects(store.append({ state, event: events[2]! }), { code: 'storage_failed' })
    Object.assign(database, { batch })
  }
  await refuse('forgotten')
  await store.forget(['forgotten'])
  t.strictSame(await store.unfinished(), [], 'it does not run again')
  t.strictSame(store.entries(), [])
  await refuse('replaced')
  const next = await append(store, [accepted('replaced')])
  t.strictSame(await store.unfinished(), [next], 'nothing of the old one is in the new one')
  t.strictSame(store.entries(), [])
})

/** The next write waits until `end` is called, and fails with the error that it is given. */
function holdDisk(database: Database) {
  const written: string[][] = []
  const batch = database.batch as (...args: unknown[]) => Promise<void>
  let begin = () => {}
  let end = (_error?: Error) => {}
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  const held = new Promise<void>((resolve, reject) => {
    end = (error) => (error === undefined ? resolve() : reject(error))
  })
  Object.assign(database, {
    batch: async (writes: { type: string; key: string }[], options: object) => {
      written.push(writes.map(({ type, key }) => `${type} ${key}`))
      begin()
      await held.finally(() => Object.assign(database, { batch }))
      return batch.call(database, writes, options)
    },
  })
  return { written, begun, end: (error?: Error) => end(error) }
}

/** Each event with the state that it leads to. */
function recordsOf(events: readonly JobEvent[]) {
  let state: JobState | undefined
  return events.map((event) => {
    state = foldJob(state, event)
    return { state, event }
  })
}

t.test('what is appended while the disk is busy is written in its order', async (t) => {
  const { store, database } = await open(t)
  const [accepted, started, completed] = recordsOf(ended('a', 9))
  const disk = holdDisk(database)
  const order: string[] = []
  const first = store.append(accepted!).then(() => order.push('accepted'))
  await disk.begun
  const second = store.append(started!).then(() => order.push('started'))
  const third = store.append(completed!).then(() => order.push('completed'))
  t.strictSame(disk.written, [['put event/a/00000000']])
  disk.end()
  await Promise.all([first, second, third])
  t.strictSame(order, ['accepted', 'started', 'completed'])
  t.strictSame(await store.finished('a'), completed!.state)
  t.strictSame(await store.unfinished(), [])
})

t.test('of a job whose acceptance the disk refuses nothing is written or known', async (t) => {
  const { store, database } = await open(t)
  const [accepted, started, completed] = recordsOf(ended('a', 9))
  const disk = holdDisk(database)
  const refused = store.append(accepted!)
  await disk.begun
  const later = [store.append(started!), store.append(completed!)]
  disk.end(new Error('full'))
  await t.rejects(refused, { code: 'storage_failed' })
  await Promise.all(later)
  t.strictSame(store.entries(), [])
  t.strictSame(await database.keys({ gt: 'event/', lt: 'job/~' }).all(), [])
  await store.append(accepted!)
  t.equal((await store.unfinished()).length, 1, 'it may be submitted again')
})

const interrupted = (id: string): JobEvent => ({ type: 'interrupted', jobId: id, atMs: 9 })

for (const { what, next, unfinished, finishedAtMs } of [
  {
    what: 'the acceptance of the next job of that id',
    next: recordsOf([accepted('a'), { type: 'started', jobId: 'a', atMs: 10 }]),
    unfinished: [{ status: 'running', startedAtMs: 10 }],
    finishedAtMs: [],
  },
  {
    what: 'all of the next job of that id',
    next: recordsOf(ended('a', 11)),
    unfinished: [],
    finishedAtMs: [11],
  },
])
  t.test(`the end of a job and, in one batch, ${what}`, async (t) => {
    const { store, database, dataDir } = await open(t)
    const [begun, started, end] = recordsOf([...ended('a', 1).slice(0, 2), interrupted('a')])
    await store.append(begun!, started!)
    await store.append(end!, ...next)
    const listed = (of: JobStore) => of.entries().map((job) => job.finishedAtMs)
    t.strictSame(listed(store), finishedAtMs)
    await database.close()
    const again = (await open(t, dataDir)).store
    const left = await again.unfinished()
    t.match(left, unfinished, 'after a kill too')
    t.equal(left.length, unfinished.length)
    t.strictSame(listed(again), finishedAtMs)
  })

t.test('a job that is accepted and ends in one batch replaces the one of its id', async (t) => {
  const { store } = await open(t)
  await append(store, ended('a', 5))
  await store.append(...recordsOf(ended('a', 7)))
  t.match(store.entries(), [{ id: 'a', finishedAtMs: 7 }])
  t.match(await store.history(), [{ finishedAtMs: 7 }])
})

t.test('what was accepted in a batch that the disk refuses never was', async (t) => {
  const { store, database } = await open(t)
  const [begun, end] = recordsOf([accepted('old'), interrupted('old')])
  await store.append(begun!)
  const { batch } = database
  Object.assign(database, { batch: async () => Promise.reject(new Error('full')) })
  const refused = store.append(end!, ...recordsOf(ended('old', 11)), ...recordsOf(ended('new', 12)))
  await t.rejects(refused, { code: 'storage_failed' })
  Object.assign(database, { batch })
  t.match(store.entries(), [{ id: 'old', status: 'interrupted', finishedAtMs: 9 }])
  t.equal(await store.finished('new'), undefined)
  await append(store, [accepted('later')])
  t.match(store.entries(), [{ id: 'old', status: 'interrupted', finishedAtMs: 9 }])
  t.equal(await store.finished('new'), undefined, 'nor is it written later')
  t.match(await store.unfinished(), [{ request: { id: 'later' } }])
})

t.test('a damaged event costs its job at most', async (t) => {
  const { store, database, warnings } = await open(t)
  await append(store, [accepted('a'), { type: 'started', jobId: 'a', atMs: 2 }])
  await append(store, [accepted('b')])
  await database.put('event/a/00000001', '{"type":"sta')
  await database.put('event/b/00000000', '{"type":"of a later release"}')
  const states = await store.unfinished()
  t.match(states, [{ request: { id: 'a' }, status: 'queued' }])
  t.equal(states.length, 1)
  t.match(warnings, [/job a .* goes on without it/, /job b .* Submit it again/])
})
