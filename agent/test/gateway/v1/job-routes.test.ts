import type { Readable } from 'node:stream'
import { mock } from 'node:test'
import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import { parseJson } from '@comfymesh/protocol/json'
import t from 'tap'
import type { JobUpdate } from '../../../src/execution/live-job.ts'
import type { Answer, Request } from '../../../src/gateway/route.ts'
import { withErrors } from '../../../src/gateway/v1/answers.ts'
import { jobRoutes } from '../../../src/gateway/v1/job-routes.ts'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask as askAgent, finished, startTestAgent } from '../../test-agent.ts'

const stamp = { jobId: 'job', atMs: 1 }
const request = { id: 'job', number: 1, prompt: {}, extraData: {}, outputs: [], createdAtMs: 1 }
const accepted: JobEvent = { ...stamp, type: 'accepted', request }

/** A job runner with one job, which goes on as it is told. */
function oneJob() {
  let state: JobState = foldJob(undefined, accepted)
  const listeners = new Set<(update: JobUpdate) => void>()
  return {
    listeners,
    job: async (id: string) => (id === 'job' ? state : undefined),
    subscribe: (listener: (update: JobUpdate) => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    happens(event: JobEvent) {
      state = foldJob(state, event)
      for (const listener of listeners) listener({ event, state })
    },
  }
}

const ask = (runner: ReturnType<typeof oneJob>, path: string, id: string) => {
  const modules = { runner } as unknown as Parameters<typeof jobRoutes>[0]
  const route = withErrors(jobRoutes(modules)).find((one) => one.path === path)!
  return route.handle({ params: { id } } as unknown as Request) as Promise<Answer>
}

async function read(answer: Answer): Promise<string[]> {
  let text = ''
  for await (const part of answer.body as Readable) text += part
  return text.trimEnd().split('\n\n')
}

t.test('the state of a job', async (t) => {
  const runner = oneJob()
  const answer = await ask(runner, '/v1/jobs/:id', 'job')
  t.match(parseJson(String(answer.body)), { status: 'queued', request: { id: 'job' } })
  t.equal((await ask(runner, '/v1/jobs/:id', 'other')).status, 404)
  t.equal((await ask(runner, '/v1/jobs/:id/events', 'other')).status, 404)
  await new Promise(setImmediate)
  t.equal(runner.listeners.size, 0)
})

t.test('events from the state on to the end, none of them twice', async (t) => {
  const runner = oneJob()
  const asked = ask(runner, '/v1/jobs/:id/events', 'job')
  runner.happens({ ...stamp, type: 'started' })
  const answer = await asked
  runner.happens({ ...stamp, jobId: 'other', type: 'started' })
  runner.happens({ ...stamp, type: 'completed' })
  const blocks = await read(answer)
  t.match(blocks[0], /^event: state\ndata: .*"status":"queued"/)
  t.strictSame(
    blocks.slice(1).map((block) => /"type":"(\w+)"/.exec(block)?.[1]),
    ['started', 'completed'],
  )
  await new Promise(setImmediate)
  t.equal(runner.listeners.size, 0, 'nobody listens any more')
})

t.test('a finished job is told at once', async (t) => {
  const runner = oneJob()
  runner.happens({ ...stamp, type: 'completed' })
  const blocks = await read(await ask(runner, '/v1/jobs/:id/events', 'job'))
  t.equal(blocks.length, 1)
  t.match(blocks[0], /"status":"completed"/)
})

t.test('a client that does not read is let go', async (t) => {
  const runner = oneJob()
  const stream = (await ask(runner, '/v1/jobs/:id/events', 'job')).body as Readable
  const nodeId = 'n'.repeat(1024 * 1024)
  for (let i = 0; i < 20; i++)
    runner.happens({ ...stamp, type: 'node-progress', nodeId, value: 1, max: 9 })
  t.ok(stream.destroyed)
  await new Promise(setImmediate)
  t.equal(runner.listeners.size, 0)
})

t.test('one that reads late still hears the end', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const runner = oneJob()
  const answer = await ask(runner, '/v1/jobs/:id/events', 'job')
  runner.happens({ ...stamp, type: 'completed' })
  mock.timers.tick(60_000)
  const blocks = await read(answer)
  t.match(blocks.at(-1), /"type":"completed"/)
})

t.test('a client that goes away is forgotten', async (t) => {
  const runner = oneJob()
  const answer = await ask(runner, '/v1/jobs/:id/events', 'job')
  t.equal(runner.listeners.size, 1)
  ;(answer.body as Readable).destroy()
  await new Promise(setImmediate)
  t.equal(runner.listeners.size, 0)
})

t.test('a list: what waits and runs before what ended, the newest first', async (t) => {
  const executor = createFakeExecutor()
  const agent = await startTestAgent(t, executor)
  const submit = async (value: number) => {
    const prompt = {
      1: { class_type: 'TN_Int', inputs: { value } },
      2: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
    }
    return String((await askAgent(agent, 'POST', '/prompt', { prompt })).body.prompt_id)
  }
  const list = async (query = '') =>
    (await askAgent(agent, 'GET', `/v1/jobs${query}`)).body as unknown as {
      jobs: { id: string; status: string }[]
      hasMore: boolean
    }
  const ids = async (query?: string) => (await list(query)).jobs.map(({ id }) => id)
  const done = await submit(1)
  await finished(agent, done)
  executor.gate = new Promise(() => {})
  const running = await submit(2)
  const cancelled = await submit(3)
  await askAgent(agent, 'POST', `/v1/jobs/${cancelled}/cancel`)

  const { jobs, hasMore } = await list()
  t.equal(jobs[0]!.id, running)
  t.strictSame(Object.fromEntries(jobs.map(({ id, status }) => [id, status])), {
    [running]: 'running',
    [cancelled]: 'interrupted',
    [done]: 'completed',
  })
  t.notOk(hasMore)
  t.strictSame(await ids('?status=interrupted'), [cancelled], 'though it never began')
  t.strictSame(await ids('?status=completed,running'), [running, done])
  t.strictSame(await ids('?status=completed,running&offset=1'), [done])
  t.ok((await list('?limit=2')).hasMore)
  t.notOk((await list('?limit=2&offset=1')).hasMore)
  t.strictSame(await ids('?search=nowhere'), [])
})
