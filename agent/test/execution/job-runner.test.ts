/** Jobs from acceptance to their end, with an executor of plain test nodes. */
import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { JobEvent, JobState } from '@comfymesh/protocol/job'
import type { JsonObject } from '@comfymesh/protocol/json'
import t, { type Test } from 'tap'
import { startAgent } from '../../src/agent.ts'
import type { JobRunner } from '../../src/execution/job-runner.ts'
import type { Submission } from '../../src/execution/submissions.ts'
import { Database } from '../../src/store/database.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createFakeExecutor, testDefinitions } from '../fake-executor.ts'
import { ask, startTestAgent, testSettings } from '../test-agent.ts'

const int = (value: number) => ({ class_type: 'TN_Int', inputs: { value } })
const out = (from: string) => ({ class_type: 'TN_Out', inputs: { x: [from, 0] } })
const save = (from: string, prefix = 'p') => ({
  class_type: 'TN_Save',
  inputs: { x: [from, 0], filename_prefix: prefix, count: 1, folder: 'output' },
})

async function submit(jobs: JobRunner, prompt: object, more: Partial<Submission> = {}) {
  const result = await jobs.submit({ prompt: prompt as JsonObject, extraData: {}, ...more })
  if (!result.accepted) throw new Error(result.error.message)
  return result.job.request.id
}

function ended(jobs: JobRunner, id: string): Promise<JobState> {
  return new Promise((resolve) => {
    const stop = jobs.subscribe(({ state }) => {
      if (state.request.id !== id || state.finishedAtMs === undefined) return
      stop()
      resolve(state)
    })
    void jobs.job(id).then((state) => {
      if (state?.finishedAtMs === undefined) return
      stop()
      resolve(state)
    })
  })
}

function gate() {
  let open = () => {}
  const promise = new Promise<void>((resolve) => {
    open = resolve
  })
  return { promise, open }
}

t.test('jobs run in the order of their numbers, one at a time', async (t) => {
  const executor = createFakeExecutor()
  const { promise, open } = gate()
  executor.gate = promise
  const { jobs } = await startTestAgent(t, executor)
  const order: number[] = []
  jobs.subscribe(({ event, state }) => {
    if (event.type === 'started')
      order.push((state.request.prompt[1]!.inputs as { value: number }).value)
  })
  const run = (value: number, more: Partial<Submission> = {}) =>
    submit(jobs, { 1: int(value), 3: out('1') }, more)
  await run(0)
  await run(1)
  const cancelled = await run(2)
  await run(3, { front: true })
  await run(4, { front: true })
  const last = await run(5)
  await run(6, { number: 1.5 })
  t.equal(jobs.running().length, 1)
  t.equal(jobs.pending().length, 6)
  await jobs.cancelPending([cancelled])
  open()
  await ended(jobs, last)
  t.strictSame(order, [0, 4, 3, 1, 6, 5], 'two for the front run in reverse')
  t.equal((await jobs.job(cancelled))?.status, 'interrupted')
  t.equal((await jobs.history()).length, 6, 'what never began is not in the history')
})

t.test('each transition is on disk before it is told', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const told: JobEvent['type'][] = []
  agent.jobs.subscribe(({ event }) => told.push(event.type))
  const id = await submit(agent.jobs, { 1: int(1), 3: out('1') })
  const state = await ended(agent.jobs, id)
  t.strictSame(told, [
    'accepted',
    'started',
    'planned',
    'stage-started',
    'stage-began',
    'nodes-cached',
    'node-started',
    'node-finished',
    'node-started',
    'node-finished',
    'stage-finished',
    'completed',
  ])
  t.strictSame(await agent.jobs.job(id), JSON.parse(JSON.stringify(state)))
  t.match(state.plan?.placements, [
    { peerId: 'local', peerName: 'test', reason: /only peer/, rejected: [] },
  ])
  t.match(state.stages, [{ peerId: 'local', provider: 'cpu', sessionMs: 1 }])
})

t.test('a job that the disk refuses after it began never was', async (t) => {
  const executor = createFakeExecutor()
  const { promise: hasRun, open: run } = gate()
  const agent = await startTestAgent(t, {
    ...executor,
    run: (stage, options) => executor.run(stage, options).finally(run),
  })
  const told: JobEvent[] = []
  agent.jobs.subscribe(({ event }) => told.push(event))
  const { batch } = Database.prototype
  t.teardown(() => Object.assign(Database.prototype, { batch }))
  const refuseOnce = async () => {
    await hasRun
    Object.assign(Database.prototype, { batch })
    throw new Error('No space left on device')
  }
  Object.assign(Database.prototype, { batch: refuseOnce })
  const prompt = { 1: int(1), 2: save('1') }
  await t.rejects(submit(agent.jobs, prompt), { code: 'storage_failed' })
  t.strictSame(told, [])
  t.equal(agent.jobs.remaining(), 0)
  t.strictSame(agent.jobs.entries(), [])
  const state = await ended(agent.jobs, await submit(agent.jobs, prompt))
  t.equal(state.status, 'completed')
  t.strictSame(readdirSync(join(agent.dataDir, 'output')), ['p_00001_.png'])
})

/** Replaces how the database writes until the test has ended; `writes` as text. */
function holdDisk(t: Test, before: (writes: string) => Promise<void> | undefined) {
  const { batch } = Database.prototype as unknown as {
    batch: (...args: unknown[]) => Promise<void>
  }
  t.teardown(() => Object.assign(Database.prototype, { batch }))
  Object.assign(Database.prototype, {
    async batch(this: Database, ...args: unknown[]) {
      await before(JSON.stringify(args[0]))
      return batch.apply(this, args)
    },
  })
}

for (const { method, path, body } of [
  { method: 'POST', path: '/v1/jobs/ID/cancel', body: {} },
  { method: 'DELETE', path: '/v1/jobs/ID', body: undefined },
  { method: 'POST', path: '/v1/queue/cancel', body: { ids: ['ID'] } },
  { method: 'POST', path: '/api/jobs/ID/cancel', body: {} },
  { method: 'POST', path: '/interrupt', body: { prompt_id: 'ID' } },
])
  t.test(`${method} ${path} before the disk has the beginning of the job`, async (t) => {
    const executor = createFakeExecutor()
    executor.gate = new Promise(() => {})
    const { promise: disk, open } = gate()
    const agent = await startTestAgent(t, executor)
    t.teardown(open)
    holdDisk(t, (writes) => (/type[\\":]*started/.test(writes) ? disk : undefined))
    const id = await submit(agent.jobs, { 1: int(1), 3: out('1') })
    while (agent.jobs.pending().length > 0) await new Promise(setImmediate)
    const queue = await ask(agent, 'GET', '/v1/queue')
    t.match(queue.body, { running: 1, queued: 0, jobs: [{ id, status: 'running' }] })
    const named = body && JSON.stringify(body).replace('ID', id)
    const { text } = await ask(agent, method, path.replace('ID', id), named)
    t.match(text, /^$|"cancelled":(true|\[")/)
    const end = ended(agent.jobs, id)
    open()
    t.equal((await end).status, 'interrupted')
  })

t.test('a job whose end is on its way to the disk is not cancelled', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const { promise: disk, open } = gate()
  const { promise: isEnding, open: ending } = gate()
  t.teardown(open)
  holdDisk(t, (writes) => {
    if (!/finished\//.test(writes)) return undefined
    ending()
    return disk
  })
  const id = await submit(agent.jobs, { 1: int(1), 3: out('1') })
  await isEnding
  const cancelled = agent.jobs.cancel([id])
  open()
  t.strictSame(await cancelled, [], 'it had ended, and is in the history now')
  t.equal((await agent.jobs.job(id))?.status, 'completed')
})

t.test('what was done to a job that the disk refuses is not told', async (t) => {
  const executor = createFakeExecutor()
  const { promise, open } = gate()
  executor.gate = promise
  const { jobs } = await startTestAgent(t, executor)
  const first = await submit(jobs, { 1: int(1), 3: out('1') })
  const told: JobEvent['type'][] = []
  const id = randomUUID()
  jobs.subscribe(({ event }) => event.jobId === id && told.push(event.type))
  const { promise: asked, open: refuse } = gate()
  holdDisk(t, async (writes) => {
    if (!writes.includes(id)) return
    await asked
    throw new Error('No space left on device')
  })
  const refused = t.rejects(submit(jobs, { 1: int(2), 3: out('1') }, { id }), {
    code: 'storage_failed',
  })
  while (jobs.pending().length === 0) await new Promise(setImmediate)
  const edits = [jobs.prioritise([id], 1), jobs.cancel([id])]
  refuse()
  await Promise.all([refused, ...edits])
  t.strictSame(told, [])
  t.equal(await jobs.job(id), undefined)
  open()
  t.equal((await ended(jobs, first)).status, 'completed')
})

t.test('a runner that dies once costs a retry, twice the job', async (t) => {
  const executor = createFakeExecutor()
  const { jobs, dataDir } = await startTestAgent(t, executor)
  const prompt = (times: number) => ({
    1: int(times),
    2: save('1'),
    3: { class_type: 'TN_Die', inputs: { x: ['1', 0], times } },
    4: out('3'),
  })
  const retries: JobEvent[] = []
  jobs.subscribe(({ event }) => {
    if (event.type === 'stage-failed') retries.push(event)
  })
  const state = await ended(jobs, await submit(jobs, prompt(1)))
  t.equal(state.status, 'completed')
  t.match(retries, [{ error: { code: 'runner_died' } }])
  t.strictSame(readdirSync(join(dataDir, 'output')), ['p_00001_.png'], 'saved once')
  const failed = await ended(jobs, await submit(jobs, prompt(2)))
  t.match(failed, { status: 'failed', error: { code: 'runner_died', message: 'The runner died.' } })
  t.equal(failed.endNodeId, '3', 'the node that was running')
})

t.test('a node that fails is not tried again', async (t) => {
  const executor = createFakeExecutor()
  const { jobs } = await startTestAgent(t, executor)
  const prompt = { 1: int(6), 2: { class_type: 'TN_Fail', inputs: { x: ['1', 0] } }, 3: out('2') }
  const state = await ended(jobs, await submit(jobs, prompt))
  t.match(state, {
    status: 'failed',
    endNodeId: '2',
    error: { code: 'node_failed', message: 'boom 6' },
  })
  t.equal(executor.stages.length, 1)
})

t.test('a picture that cannot be saved fails the job with the reason', async (t) => {
  const { jobs } = await startTestAgent(t, createFakeExecutor())
  const prompt = { 1: int(1), 2: save('1', '../outside'), 3: out('1') }
  const state = await ended(jobs, await submit(jobs, prompt))
  t.match(state, { status: 'failed', error: { message: /outside the output folder/ } })
})

t.test('interrupting', async (t) => {
  const executor = createFakeExecutor()
  executor.gate = gate().promise
  const { jobs } = await startTestAgent(t, executor)
  const id = await submit(jobs, { 1: int(1), 3: out('1') })
  jobs.interrupt('another')
  t.equal(jobs.running()[0]?.request.id, id)
  jobs.interrupt(id)
  t.equal((await ended(jobs, id)).status, 'interrupted')
  executor.gate = undefined
  jobs.interrupt()
  const next = await ended(jobs, await submit(jobs, { 1: int(2), 3: out('1') }))
  t.equal(next.status, 'completed', 'nothing is left of it for the next job')
})

t.test('results are known by signature while the latest prompt contains them', async (t) => {
  const executor = createFakeExecutor({ cache: true })
  const { jobs, dataDir } = await startTestAgent(t, executor)
  const files = () => readdirSync(join(dataDir, 'output')).length
  const run = async (prompt: object) => ended(jobs, await submit(jobs, prompt))
  await run({ 1: int(1), 2: save('1') })
  const renamed = await run({ a: int(1), b: save('a') })
  t.strictSame(renamed.cached?.nodeIds, ['a', 'b'], 'ids do not matter')
  t.strictSame(renamed.outputs.b, {
    images: [{ filename: 'p_00001_.png', subfolder: '', type: 'output' }],
  })
  t.equal(files(), 1)
  await run({ 1: int(2), 2: save('1') })
  await run({ 1: int(1), 2: save('1') })
  t.equal(files(), 3, 'another prompt came between')
  executor.files.set('f', 'one')
  const file = { 1: { class_type: 'TN_File', inputs: { name: 'f' } }, 3: out('1') }
  await run(file)
  t.strictSame((await run(file)).cached?.nodeIds, ['1', '3'])
  executor.files.set('f', 'two')
  t.strictSame((await run(file)).cached?.nodeIds, [], 'the file changed')
})

t.test('two nodes of a prompt that are the same save once', async (t) => {
  const { jobs, dataDir } = await startTestAgent(t, createFakeExecutor({ cache: true }))
  const state = await ended(jobs, await submit(jobs, { 1: int(1), 2: save('1'), 3: save('1') }))
  t.strictSame(readdirSync(join(dataDir, 'output')), ['p_00001_.png'])
  t.strictSame(state.outputs[3], state.outputs[2])
})

t.test('what a job had made before a restart is not made again', async (t) => {
  const dataDir = t.testdir()
  const slow = {
    class_type: 'TN_Steps',
    inputs: { x: ['1', 0], steps: 1000, ms: 10, preview: false },
  }
  const first = await startTestAgent(t, createFakeExecutor(), dataDir)
  const saved = new Promise((resolve) => {
    first.jobs.subscribe(({ event }) => {
      if (event.type === 'node-finished' && event.nodeId === '2') resolve(undefined)
    })
  })
  const id = await submit(first.jobs, { 1: int(1), 2: save('1'), 3: slow, 4: out('3') })
  await saved
  await first.stop()
  const executor = createFakeExecutor()
  executor.gate = gate().promise
  const second = await startTestAgent(t, executor, dataDir)
  const planned = new Promise<JobState>((resolve) => {
    second.jobs.subscribe(({ event, state }) => {
      if (event.type === 'planned') resolve(state)
    })
  })
  const running = second.jobs.running()[0]
  const { plan } = running?.earlierPlans.length === 1 ? running : await planned
  t.strictSame(
    plan?.stages[0]?.nodes.map((node) => node.id),
    ['1', '3', '4'],
  )
  second.jobs.interrupt(id)
  const state = await ended(second.jobs, id)
  t.match(state.outputs[2], { images: [{ filename: 'p_00001_.png' }] })
})

t.test('a stopped agent leaves its job for the next start', async (t) => {
  const dataDir = t.testdir()
  const executor = createFakeExecutor()
  executor.gate = gate().promise
  const first = await startTestAgent(t, executor, dataDir)
  const running = await submit(first.jobs, { 1: int(1), 2: save('1', 'a') })
  const waiting = await submit(first.jobs, { 1: int(2), 2: save('1', 'b') })
  await first.stop()
  const second = await startTestAgent(t, createFakeExecutor(), dataDir)
  for (const id of [running, waiting]) t.equal((await ended(second.jobs, id)).status, 'completed')
  const ids = (await second.jobs.history()).map(({ request }) => request.id)
  t.strictSame(ids, [running, waiting], 'exactly once, in their order')
  t.strictSame(readdirSync(join(dataDir, 'output')), ['a_00001_.png', 'b_00001_.png'])
})

/** The numbers of the TN_Int nodes, in the order in which their jobs will run. */
const waiting = (jobs: JobRunner) =>
  jobs.pending().map(({ request }) => Number(request.prompt[1]!.inputs.value))

t.test('jobs are moved and prioritised, also over a restart', async (t) => {
  const dataDir = t.testdir()
  const first = await startTestAgent(t, createFakeExecutor(), dataDir)
  await first.jobs.pause()
  const ids: string[] = []
  for (let i = 0; i < 5; i++) ids.push(await submit(first.jobs, { 1: int(i), 3: out('1') }))
  const [a, b, c, d, e] = ids as [string, string, string, string, string]
  const told: string[] = []
  first.jobs.subscribe(({ event }) => told.push(event.type))
  await first.jobs.move([d], { before: b })
  await first.jobs.move([a], { to: 'end' })
  t.strictSame(told, ['reordered', 'reordered'], 'nobody else was renumbered')
  t.strictSame(waiting(first.jobs), [3, 1, 2, 4, 0])
  await first.jobs.prioritise([c], 1)
  await first.jobs.prioritise([d], -1)
  t.strictSame(waiting(first.jobs), [2, 1, 4, 0, 3])
  await submit(first.jobs, { 1: int(5), 3: out('1') }, { front: true })
  await submit(first.jobs, { 1: int(6), 3: out('1') })
  t.strictSame(waiting(first.jobs), [2, 5, 1, 4, 0, 6, 3])
  await t.rejects(first.jobs.move(['gone'], { to: 'front' }), { code: 'not_found' })
  await t.rejects(first.jobs.move([e], { before: 'gone' }), { code: 'not_found' })
  await t.rejects(first.jobs.prioritise(['gone'], 1), { code: 'not_found' })
  await first.stop()

  const second = await startTestAgent(t, createFakeExecutor(), dataDir)
  t.strictSame(waiting(second.jobs), [2, 5, 1, 4, 0, 6, 3])
  t.ok(second.jobs.pausedAtMs(), 'still paused')
  t.equal(second.jobs.running().length, 0)
  const order: number[] = []
  second.jobs.subscribe(({ event, state }) => {
    if (event.type === 'started') order.push(Number(state.request.prompt[1]!.inputs.value))
  })
  await second.jobs.resume()
  await ended(second.jobs, d)
  t.strictSame(order, [2, 5, 1, 4, 0, 6, 3])
})

t.test('a paused queue lets the running job end and starts no other', async (t) => {
  const executor = createFakeExecutor()
  const { promise, open } = gate()
  executor.gate = promise
  const { jobs } = await startTestAgent(t, executor)
  const running = await submit(jobs, { 1: int(1), 3: out('1') })
  const next = await submit(jobs, { 1: int(2), 3: out('1') })
  await jobs.pause()
  open()
  t.equal((await ended(jobs, running)).status, 'completed')
  await new Promise(setImmediate)
  t.equal(jobs.running().length, 0)
  t.equal(jobs.remaining(), 1)
  await jobs.resume()
  t.equal(jobs.pausedAtMs(), undefined)
  t.equal((await ended(jobs, next)).status, 'completed')
})

t.test('a full queue refuses', async (t) => {
  const executor = createFakeExecutor()
  executor.gate = gate().promise
  const settings = { ...testSettings(t.testdir()), queueLimit: 2 }
  const agent = await startAgent(settings, { executor, log: createLog({ level: 'silent' }) })
  t.teardown(() => agent.stop())
  const prompt = { 1: int(1), 3: out('1') }
  for (let i = 0; i < 3; i++) await submit(agent.jobs, prompt)
  await t.rejects(submit(agent.jobs, prompt), {
    code: 'busy',
    message: /2 jobs wait already.*--queue-limit/,
  })
  const answer = await ask(agent, 'POST', '/prompt', { prompt })
  t.equal(answer.status, 503)
  t.match(answer.body, { error: { type: 'busy', message: /full/ }, node_errors: {} })
  await agent.jobs.cancelPending('all')
  await submit(agent.jobs, prompt)
})

t.test('a job whose node class vanished over a restart says so', async (t) => {
  const dataDir = t.testdir()
  const first = await startTestAgent(t, createFakeExecutor(), dataDir)
  await first.jobs.pause()
  const id = await submit(first.jobs, { 1: int(1), 3: out('1') })
  await first.stop()
  const executor = createFakeExecutor()
  const { TN_Int: _gone, ...left } = testDefinitions
  const second = await startTestAgent(t, { ...executor, definitions: async () => left }, dataDir)
  await second.jobs.resume()
  t.match(await ended(second.jobs, id), {
    status: 'failed',
    endNodeId: '1',
    error: { code: 'no_peer', message: /Node 1 is of the class TN_Int, which no peer offers/ },
  })
})

t.test('a listener that throws harms nobody', async (t) => {
  const { jobs } = await startTestAgent(t, createFakeExecutor())
  jobs.subscribe(() => {
    throw new Error('bad listener')
  })
  t.equal((await ended(jobs, await submit(jobs, { 1: int(1), 3: out('1') }))).status, 'completed')
})

t.test('memory is given back between jobs, before the next one begins', async (t) => {
  const executor = createFakeExecutor({ cache: true })
  const { promise, open } = gate()
  executor.gate = promise
  const { jobs } = await startTestAgent(t, executor)
  jobs.free({ unloadModels: false, freeMemory: false })
  jobs.free({ unloadModels: true, freeMemory: false })
  t.strictSame(executor.freed, ['models'], 'at once where nothing runs')

  const prompt = { 1: int(1), 2: out('1') }
  const first = await submit(jobs, prompt)
  const second = await submit(jobs, prompt)
  jobs.free({ unloadModels: false, freeMemory: true })
  jobs.free({ unloadModels: true, freeMemory: false })
  t.equal(executor.freed.length, 1, 'not while a job runs')
  open()
  await ended(jobs, first)
  await ended(jobs, second)
  t.strictSame(executor.freed, ['models', 'all'])
  t.strictSame(executor.ran, ['TN_Int', 'TN_Out', 'TN_Int', 'TN_Out'], 'nothing was known any more')
  await ended(jobs, await submit(jobs, prompt))
  t.equal(executor.ran.length, 4, 'but then again')
})
