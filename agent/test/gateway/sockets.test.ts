/** Who gets which message, with clients that come, go, come twice and do not read. */
import { EventEmitter } from 'node:events'
import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { JsonObject } from '@comfymesh/protocol/json'
import t from 'tap'
import type { JobRunner } from '../../src/execution/job-runner.ts'
import type { JobUpdate } from '../../src/execution/live-job.ts'
import type { Picture } from '../../src/executors/executor.ts'
import { type ClientSocket, createSockets } from '../../src/gateway/comfyui/sockets.ts'
import { comfyuiFeatures } from '../../src/gateway/comfyui/system-routes.ts'

/** A connection whose other end is this test; what it was sent is a line each. */
class FakeSocket extends EventEmitter implements ClientSocket {
  bufferedAmount = 0
  ended: 'closed' | 'terminated' | undefined
  readonly lines: string[] = []
  send(data: string | Uint8Array): void {
    if (typeof data !== 'string') {
      this.lines.push(`preview ${Buffer.from(data).readUInt32BE(0)}`)
      return
    }
    const { type, data: content } = JSON.parse(data) as { type: string; data: JsonObject }
    const id = content.prompt_id === undefined ? '' : ` ${content.prompt_id}`
    this.lines.push(`${type}${id}${type === 'executing' ? ` ${content.node}` : ''}`)
    if (type === 'status' && content.sid !== undefined) this.lines.push(`sid ${content.sid}`)
  }
  close(): void {
    this.ended = 'closed'
    this.emit('close')
  }
  terminate(): void {
    this.ended = 'terminated'
    this.emit('close')
  }
  /** What it was sent since the last call. */
  take(): string[] {
    return this.lines.splice(0)
  }
}

type MediaType = Picture['mediaType']
type WithoutStamp<T> = T extends JobEvent ? Omit<T, 'jobId' | 'atMs'> : never

/** A runner that runs as many jobs at once as the test says. */
function createFakeRunner() {
  const jobs = new Map<string, JobState>()
  const listeners = new Set<(update: JobUpdate) => void>()
  const having = (status: string) => [...jobs.values()].filter((job) => job.status === status)
  const runner = {
    pending: () => having('queued'),
    running: () => having('running'),
    remaining: () => having('queued').length + having('running').length,
    subscribe(listener: (update: JobUpdate) => void) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  function tell(jobId: string, change: WithoutStamp<JobEvent>, shown?: MediaType): void {
    const event = { ...change, jobId, atMs: 1 } as JobEvent
    const state = foldJob(jobs.get(jobId), event)
    jobs.set(jobId, state)
    const preview = shown && { bytes: new Uint8Array(9), mediaType: shown, width: 1, height: 1 }
    for (const listener of listeners) listener({ event, state, ...(preview && { preview }) })
  }
  return {
    runner: runner as unknown as JobRunner,
    listeners,
    tell,
    /** A job that runs its node 1. */
    begin(id: string, extraData: JsonObject): void {
      const prompt = { '1': { class_type: 'TN_Int', inputs: {} } }
      const request = { id, number: 0, prompt, extraData, outputs: ['1'], createdAtMs: 0 }
      tell(id, { type: 'accepted', request })
      tell(id, { type: 'started' })
      tell(id, { type: 'node-started', nodeId: '1', peerId: 'p' })
    },
    step: (id: string, shown?: MediaType) =>
      tell(id, { type: 'node-progress', nodeId: '1', value: 1, max: 2 }, shown),
  }
}

function setUp() {
  const fake = createFakeRunner()
  const sockets = createSockets({ runner: fake.runner, features: comfyuiFeatures(1) })
  const connect = (clientId?: string) => {
    const socket = new FakeSocket()
    sockets.attach(socket, clientId)
    return socket
  }
  return { ...fake, sockets, connect }
}

t.test('a client that gives no name gets one', async (t) => {
  const { connect } = setUp()
  t.strictSame(connect('me').take(), ['status', 'sid me'])
  const [, first] = connect().take()
  const [, second] = connect('').take()
  t.match(first, /^sid [0-9a-f]{32}$/)
  t.match(second, /^sid [0-9a-f]{32}$/)
  t.not(first, second)
})

t.test('one that comes back in the middle of its job sees the rest of it', async (t) => {
  const { begin, step, tell, connect } = setUp()
  begin('job', { client_id: 'me' })
  t.strictSame(connect('other').take(), ['status', 'sid other'])
  const socket = connect('me')
  t.strictSame(socket.take(), ['status', 'sid me', 'executing 1'])
  step('job')
  t.strictSame(socket.take(), ['progress_state job', 'progress job'])
  socket.close()
  step('job')
  t.strictSame(socket.take(), [])
  const again = connect('me')
  tell('job', { type: 'completed' })
  t.strictSame(again.take().slice(2), [
    'executing 1',
    'execution_success job',
    'status',
    'executing job null',
  ])
  t.strictSame(connect('me').take(), ['status', 'sid me'], 'nothing runs any more')
})

t.test(
  'the same name twice: the later connection has it, whatever the earlier one does',
  async (t) => {
    const { begin, step, connect } = setUp()
    const earlier = connect('me')
    const later = connect('me')
    for (const socket of [earlier, later]) socket.take()
    begin('job', { client_id: 'me' })
    t.strictSame(earlier.take(), [])
    t.equal(earlier.ended, undefined, 'it is let be, as in ComfyUI')
    t.ok(later.take().includes('execution_start job'))
    earlier.close()
    step('job')
    t.strictSame(later.take(), ['progress_state job', 'progress job'])
  },
)

t.test('only the first message of a client is read', async (t) => {
  const { begin, step, connect } = setUp()
  const flags = JSON.stringify({
    type: 'feature_flags',
    data: { supports_preview_metadata: true },
  })
  const rows: readonly [first: string, isBinary: boolean, preview: string][] = [
    [flags, false, 'preview 4'],
    [flags, true, 'preview 1'],
    ['{"type":"feature_flags"', false, 'preview 1'],
    ['{"type":"feature_flags"}', false, 'preview 1'],
    ['null', false, 'preview 1'],
    ['{"type":"hello"}', false, 'preview 1'],
  ]
  for (const [index, [first, isBinary, preview]] of rows.entries()) {
    const socket = connect(`client-${index}`)
    socket.emit('message', first, isBinary)
    socket.emit('message', flags, false)
    begin(`job-${index}`, { client_id: `client-${index}` })
    step(`job-${index}`, 'image/jpeg')
    t.ok(socket.take().includes(preview), `${first}: ${preview}`)
  }
})

t.test(
  'progress of a job that names no client is for those who see none of their own',
  async (t) => {
    const { begin, step, tell, connect } = setUp()
    const busy = connect('busy')
    const idle = connect('idle')
    begin('own', { client_id: 'busy' })
    for (const socket of [busy, idle]) socket.take()
    begin('nobodys', {})
    step('nobodys', 'image/jpeg')
    t.strictSame(idle.take(), [
      'status',
      'status',
      'progress_state nobodys',
      'progress_state nobodys',
      'preview 1',
      'progress nobodys',
    ])
    t.strictSame(busy.take(), ['status', 'status'])
    tell('own', { type: 'completed' })
    busy.take()
    step('nobodys')
    t.strictSame(busy.take(), ['progress_state nobodys', 'progress nobodys'])
  },
)

t.test('two jobs of one client at once are one stream', async (t) => {
  const { begin, step, tell, connect } = setUp()
  const socket = connect('me')
  begin('first', { client_id: 'me' })
  socket.take()
  begin('second', { client_id: 'me' })
  step('second', 'image/jpeg')
  t.strictSame(socket.take(), ['status', 'status'])
  tell('first', { type: 'completed' })
  t.strictSame(socket.take(), [
    'execution_success first',
    'status',
    'executing first null',
    'execution_start second',
    'progress_state second',
    'executing second 1',
  ])
  t.strictSame(connect('me').take(), ['status', 'sid me', 'executing 1'])
})

t.test(
  'programs are told of one job after the other, the frontend of each that ends',
  async (t) => {
    const { begin, tell, connect } = setUp()
    const program = connect('program')
    const frontend = connect('frontend')
    frontend.emit('message', '{"type":"feature_flags","data":{}}', false)
    for (const id of ['program', 'frontend']) {
      begin(`long-${id}`, { client_id: id })
      begin(`short-${id}`, { client_id: id })
    }
    for (const socket of [program, frontend]) socket.take()
    for (const id of ['program', 'frontend']) tell(`short-${id}`, { type: 'completed' })
    t.strictSame(program.take(), ['status', 'status'])
    t.strictSame(frontend.take(), [
      'status',
      'status',
      'execution_start short-frontend',
      'progress_state short-frontend',
      'execution_success short-frontend',
      'executing short-frontend null',
      'execution_start long-frontend',
      'progress_state long-frontend',
      'executing long-frontend 1',
    ])
  },
)

t.test('a client that does not read misses previews, and is let go in the end', async (t) => {
  const { begin, step, connect } = setUp()
  const slow = connect('slow')
  const quick = connect('quick')
  begin('job', {})
  for (const socket of [slow, quick]) socket.take()
  slow.bufferedAmount = 5 * 1024 * 1024
  step('job', 'image/jpeg')
  t.strictSame(slow.take(), ['progress_state job', 'progress job'])
  t.strictSame(quick.take(), ['progress_state job', 'preview 1', 'progress job'])
  step('job', 'image/png')
  const whole = ['progress_state job', 'preview 1', 'progress job']
  t.strictSame(slow.take(), whole, 'but no picture that is a result')
  t.strictSame(quick.take(), whole)
  slow.bufferedAmount = 65 * 1024 * 1024
  step('job')
  t.equal(slow.ended, 'terminated')
  t.strictSame(slow.take(), [])
  t.strictSame(quick.take(), ['progress_state job', 'progress job'])
})

t.test('at the end all connections are closed and the runner is left', async (t) => {
  const { sockets, listeners, connect } = setUp()
  const all = [connect('me'), connect('me'), connect('other')]
  sockets.close()
  t.strictSame(
    all.map(({ ended }) => ended),
    ['closed', 'closed', 'closed'],
  )
  t.equal(listeners.size, 0)
})
