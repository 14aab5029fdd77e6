/** Several jobs of one client at once, as a frontend that knows one active job sees them. */
import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { JsonObject } from '@comfymesh/protocol/json'
import t from 'tap'
import { type ClientStream, follow, idleStream } from '../../src/gateway/comfyui/client-stream.ts'
import type { Message } from '../../src/gateway/comfyui/messages.ts'

type WithoutStamp<T> = T extends JobEvent ? Omit<T, 'jobId' | 'atMs'> : never
type Change = WithoutStamp<JobEvent>

const started: Change = { type: 'started' }
const cached = (...nodeIds: string[]): Change => ({ type: 'nodes-cached', nodeIds, outputs: {} })
const node = (nodeId: string): Change => ({ type: 'node-started', nodeId, peerId: 'p' })
const step = (nodeId: string, value: number): Change => ({
  type: 'node-progress',
  nodeId,
  value,
  max: 2,
})
const done = (nodeId: string, text?: string): Change => ({
  type: 'node-finished',
  nodeId,
  cached: false,
  elapsedMs: 1,
  ...(text !== undefined && { output: { text: [text] } }),
})
const failed: Change = {
  type: 'failed',
  nodeId: '1',
  error: { code: 'node_failed', message: 'boom', details: {} },
}

/** Jobs of one client, the stream that it gets, and how the frontend understands it. */
function createClient(patience = 0) {
  const jobs = new Map<string, JobState>()
  let stream: ClientStream = idleStream
  let active: string | undefined
  let clock = 0

  function apply(jobId: string, change: Change, preview = false): string[] {
    const event = { ...change, jobId, atMs: ++clock } as JobEvent
    const state = foldJob(jobs.get(jobId), event)
    jobs.set(jobId, state)
    const bytes = { bytes: new Uint8Array(), mediaType: 'image/png', width: 1, height: 1 } as const
    const update = { event, state, ...(preview && { preview: bytes }) }
    const told = follow(stream, update, 0, patience)
    stream = told.stream
    for (const message of told.messages) see(message)
    return told.messages.map(line)
  }

  function see(message: Message): void {
    if (message.kind === 'preview') return
    const { type, data } = message
    if (type === 'execution_start') active = String(data.prompt_id)
    else if (type === 'executing' && data.node === null) active = undefined
    else if (type !== 'status' && data.prompt_id !== active)
      throw new Error(`${line(message)} while ${active} is active`)
  }

  return {
    apply,
    accept(jobId: string): string[] {
      const request = {
        id: jobId,
        number: 0,
        prompt: { '1': { class_type: 'TN_Int', inputs: {} } },
        extraData: {},
        outputs: ['1'],
        createdAtMs: 0,
      }
      return apply(jobId, { type: 'accepted', request })
    },
    active: () => active,
    running: () => [...jobs.values()].filter(({ status }) => status === 'running'),
    hidden: () => stream.hidden,
  }
}

/** `B executed 2 b`: a message in a line. */
function line(message: Message): string {
  if (message.kind === 'preview') return `${message.metadata.prompt_id} preview`
  const { type, data } = message
  const about = {
    status: '',
    execution_cached: ` [${data.nodes}]`,
    executing: ` ${data.node}`,
    executed: ` ${data.node} ${(data.output as JsonObject | null)?.text ?? null}`,
    progress: ` ${data.node} ${data.value}`,
    progress_state: ` {${Object.entries((data.nodes ?? {}) as { [id: string]: JsonObject }).map(
      ([id, { state, value }]) => `${id} ${state} ${value}`,
    )}}`,
  }[type]
  return type === 'status' ? type : `${data.prompt_id} ${type}${about ?? ''}`
}

t.test('one job is told as it happens', async (t) => {
  const client = createClient()
  t.strictSame(client.accept('A'), ['status'])
  t.strictSame(client.apply('A', started), ['status', 'A execution_start'])
  t.strictSame(client.apply('A', cached()), ['A execution_cached []'])
  t.strictSame(client.apply('A', node('1')), ['A progress_state {1 running 0}', 'A executing 1'])
  t.strictSame(client.apply('A', step('1', 1), true), [
    'A progress_state {1 running 1}',
    'A preview',
    'A progress 1 1',
  ])
  t.strictSame(client.apply('A', done('1', 'a')), [
    'A executed 1 a',
    'A progress_state {1 finished 2}',
  ])
  t.strictSame(client.apply('A', { type: 'completed' }), [
    'A execution_success',
    'status',
    'A executing null',
  ])
})

/** A runs its node 1, and B has begun. */
function twoJobs(patience = 0) {
  const client = createClient(patience)
  for (const id of ['A', 'B']) client.accept(id)
  client.apply('A', started)
  client.apply('A', cached())
  client.apply('A', node('1'))
  return { ...client, begun: client.apply('B', started) }
}

t.test('a second job is hidden while the first is shown', async (t) => {
  const { apply, begun, hidden } = twoJobs()
  t.strictSame(begun, ['status'], 'the queue is for everybody')
  t.strictSame(apply('B', cached('5')), [])
  t.strictSame(apply('B', node('1')), [])
  t.strictSame(apply('B', step('1', 1), true), [], 'previews are dropped')
  t.strictSame(apply('B', done('1', 'b')), [])
  t.strictSame(apply('A', step('1', 1)), ['A progress_state {1 running 1}', 'A progress 1 1'])
  t.equal(hidden().length, 1, 'and kept is its state alone')
})

t.test('the second is announced as far as it is when the first ends', async (t) => {
  const { apply } = twoJobs()
  apply('B', cached('5'))
  apply('B', node('1'))
  apply('B', done('1', 'b'))
  apply('B', node('2'))
  t.strictSame(apply('A', { type: 'interrupted', nodeId: '1' }), [
    'A execution_interrupted',
    'status',
    'A executing null',
    'B execution_start',
    'B execution_cached [5]',
    'B executed 1 b',
    'B progress_state {1 finished 1,2 running 0}',
    'B executing 2',
  ])
  t.strictSame(apply('B', step('2', 1)).at(-1), 'B progress 2 1', 'and told from there on')
})

t.test('one that ends first is told whole, and the other one is shown again', async (t) => {
  const { apply } = twoJobs()
  apply('B', cached())
  apply('B', node('1'))
  t.strictSame(apply('B', failed), [
    'status',
    'B execution_start',
    'B execution_cached []',
    'B progress_state {1 running 0}',
    'B execution_error',
    'B executing null',
    'A execution_start',
    'A progress_state {1 running 0}',
    'A executing 1',
  ])
  t.strictSame(apply('A', done('1')), ['A progress_state {1 finished 1}'])
})

t.test('a client with patience is told of one job after the other', async (t) => {
  const { apply, accept, hidden } = twoJobs(1)
  apply('B', cached())
  apply('B', node('1'))
  apply('B', done('1', 'b'))
  t.strictSame(apply('B', { type: 'completed' }), ['status'])
  accept('C')
  apply('C', started)
  apply('C', node('7'))
  t.strictSame(apply('A', { type: 'completed' }), [
    'A execution_success',
    'status',
    'A executing null',
    'B execution_start',
    'B execution_cached []',
    'B executed 1 b',
    'B progress_state {1 finished 1}',
    'B execution_success',
    'B executing null',
    'C execution_start',
    'C progress_state {7 running 0}',
    'C executing 7',
  ])
  t.strictSame(hidden(), [])
})

t.test('patience has an end, so that what is kept has one', async (t) => {
  const { apply, accept, hidden } = twoJobs(1)
  t.strictSame(apply('B', { type: 'completed' }), ['status'])
  accept('C')
  apply('C', started)
  t.strictSame(apply('C', { type: 'completed' }), [
    'status',
    'B execution_start',
    'B execution_success',
    'B executing null',
    'A execution_start',
    'A progress_state {1 running 0}',
    'A executing 1',
  ])
  t.strictSame(
    hidden().map(({ request }) => request.id),
    ['C'],
  )
})

t.test('jobs that wait change nothing', async (t) => {
  const { apply, accept, active, hidden } = twoJobs()
  t.strictSame(accept('C'), ['status'])
  t.strictSame(apply('C', { type: 'interrupted' }), ['status'], 'cancelled before it began')
  t.strictSame(apply('B', { type: 'requeued' }), [])
  t.strictSame(hidden(), [], 'one that went back to the queue runs no more')
  t.strictSame(apply('A', { type: 'completed' }).at(-1), 'A executing null')
  t.equal(active(), undefined)
  t.strictSame(apply('B', started), ['status', 'B execution_start'], 'and begins anew')
})

t.test('the job that has run for longest is shown next', async (t) => {
  const { apply, accept, active } = twoJobs()
  accept('C')
  apply('C', started)
  apply('B', node('1'))
  apply('A', { type: 'completed' })
  t.equal(active(), 'B')
  apply('B', { type: 'completed' })
  t.equal(active(), 'C')
})

const script: readonly Change[] = [
  started,
  cached('9'),
  node('1'),
  step('1', 1),
  step('1', 2),
  done('1', 'first'),
  node('2'),
  done('2', 'second'),
  { type: 'completed' },
]

/** Runs four jobs at once, in an order that the seed decides; gives what was told and what is wrong. */
function interleaved(seed: number, patience: number) {
  const client = createClient(patience)
  const random = numbers(seed)
  const left = new Map(['A', 'B', 'C', 'D'].map((id) => [id, [...script]]))
  const lines: string[] = []
  const wrong: string[] = []
  for (const id of left.keys()) client.accept(id)
  while (left.size > 0) {
    const id = [...left.keys()][random(left.size)]!
    const change = left.get(id)!.shift()!
    if (left.get(id)!.length === 0) left.delete(id)
    lines.push(...client.apply(id, change))
    const running = client.running().length
    if ((client.active() === undefined) !== (running === 0))
      wrong.push(`${client.active()} is active after ${lines.length} lines, but ${running} run`)
  }
  return { lines, wrong }
}

for (const patience of [0, 1, 100]) {
  t.test(`however jobs interleave, with patience ${patience}`, async (t) => {
    for (let seed = 1; seed <= 100; seed++) {
      const { lines, wrong } = interleaved(seed, patience)
      t.strictSame(wrong, [], `seed ${seed}: the frontend is idle only when nothing runs`)
      const told = lines.filter((text) => /executed|cached|success|null/.test(text))
      const each = ['A', 'B', 'C', 'D'].map((id) =>
        told.filter((text) => text.startsWith(id)).map((text) => text.slice(2)),
      )
      const expected = [
        'execution_cached [9]',
        'executed 1 first',
        'executed 2 second',
        'execution_success',
        'executing null',
      ]
      t.strictSame(each, Array(4).fill(expected), `seed ${seed}: every message once, in order`)
      const starts = lines.filter((text) => text.endsWith('execution_start'))
      if (patience === 100) t.equal(starts.length, 4, `seed ${seed}: no job is told in another one`)
    }
  })
}

/** Whole numbers below a limit, the same for the same seed. */
function numbers(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}
