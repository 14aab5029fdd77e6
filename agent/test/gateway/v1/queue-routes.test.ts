import type { JsonObject } from '@comfymesh/protocol/json'
import t from 'tap'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, finished, startTestAgent } from '../../test-agent.ts'

async function queueOfThree(t: Parameters<typeof startTestAgent>[0]) {
  const agent = await startTestAgent(t, createFakeExecutor())
  t.match((await ask(agent, 'POST', '/v1/queue/pause')).body, { paused: true, queued: 0 })
  const ids: string[] = []
  for (const value of [1, 2, 3]) {
    const prompt = {
      1: { class_type: 'TN_Int', inputs: { value } },
      2: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
    }
    ids.push(String((await ask(agent, 'POST', '/prompt', { prompt })).body.prompt_id))
  }
  const order = async () => {
    const { body } = await ask(agent, 'GET', '/v1/queue')
    return (body.jobs as JsonObject[]).map(({ id }) => ids.indexOf(String(id)) + 1)
  }
  return { agent, ids, order }
}

t.test('a queue is paused, changed and resumed', async (t) => {
  const { agent, ids, order } = await queueOfThree(t)
  const [a, b, c] = ids as [string, string, string]
  const { body } = await ask(agent, 'GET', '/v1/queue')
  t.match(body, { paused: true, queued: 3, running: 0, jobs: [{ id: a, status: 'queued' }] })
  await ask(agent, 'POST', '/v1/queue/move', { ids: [c], target: { to: 'front' } })
  t.strictSame(await order(), [3, 1, 2])
  await ask(agent, 'POST', '/v1/queue/move', { ids: [a], target: { after: b } })
  t.strictSame(await order(), [3, 2, 1])
  await ask(agent, 'POST', '/v1/queue/priority', { ids: [a], priority: 3 })
  t.strictSame(await order(), [1, 3, 2])

  const comfy = (await ask(agent, 'GET', '/queue')).body.queue_pending as [number, string][]
  const sorted = comfy.toSorted(([one], [other]) => one - other).map(([, id]) => id)
  t.strictSame(sorted, [a, c, b], "ComfyUI's clients see the same order")

  const cancelled = await ask(agent, 'POST', '/v1/queue/cancel', { ids: [c, 'unknown'] })
  t.match(cancelled.body, { cancelled: [c], queued: 2 })
  t.match((await ask(agent, 'POST', '/v1/queue/resume')).body, { paused: false })
  await finished(agent, b)
  t.strictSame(Object.keys((await ask(agent, 'GET', '/history')).body), [a, b])
})

t.test('times are told once jobs like these have run', async (t) => {
  const { agent, ids } = await queueOfThree(t)
  const before = (await ask(agent, 'GET', '/v1/queue')).body
  t.match(before, { remainingMs: null, summary: 'paused, 3 queued, 0 running, no estimate yet' })
  t.match(before.jobs, [{ estimateMs: null, startsInMs: null }])
  await ask(agent, 'POST', '/v1/queue/resume')
  await finished(agent, ids[2]!)
  await ask(agent, 'POST', '/v1/queue/pause')
  const prompt = {
    1: { class_type: 'TN_Int', inputs: { value: 4 } },
    2: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
  }
  await ask(agent, 'POST', '/prompt', { prompt })
  const { body } = await ask(agent, 'GET', '/v1/queue')
  // Every node of the test executor says that it took 1 ms.
  t.match(body, { remainingMs: 2, summary: 'paused, 1 queued, 0 running, about 1.0 s' })
  t.match(body.jobs, [{ estimateMs: 2, startsInMs: null }], 'paused: it does not begin')
})

t.test('all that wait are cancelled', async (t) => {
  const { agent, ids } = await queueOfThree(t)
  const { body } = await ask(agent, 'POST', '/v1/queue/clear')
  t.match(body, { queued: 0, cancelled: ids })
})

t.test('a running job is cancelled', async (t) => {
  const executor = createFakeExecutor()
  executor.gate = new Promise(() => {})
  const agent = await startTestAgent(t, executor)
  const prompt = {
    1: { class_type: 'TN_Int', inputs: { value: 1 } },
    2: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
  }
  const id = String((await ask(agent, 'POST', '/prompt', { prompt })).body.prompt_id)
  t.match((await ask(agent, 'POST', '/v1/queue/cancel', { ids: [id] })).body, { cancelled: [id] })
  t.match(await finished(agent, id), { status: { status_str: 'error' } })
})

t.test('what cannot be is refused with the reason, and changes nothing', async (t) => {
  const { agent, ids, order } = await queueOfThree(t)
  const bad = [
    ['move', { ids: [], target: { to: 'front' } }],
    ['move', { ids }],
    ['move', { ids, target: { to: 'moon' } }],
    ['priority', { ids, priority: 1.5 }],
    ['priority', { ids, priority: 1000 }],
    ['cancel', {}],
    ['cancel', 'no JSON'],
  ] as const
  for (const [name, body] of bad) {
    const answer = await ask(agent, 'POST', `/v1/queue/${name}`, body)
    t.equal(answer.status, 400)
    t.match(answer.body, { error: { code: 'invalid_request', message: /\w/ } })
  }
  const gone = [
    ['move', { ids: ['gone'], target: { to: 'front' } }],
    ['move', { ids: [ids[0]], target: { before: 'gone' } }],
    ['priority', { ids: ['gone'], priority: 1 }],
    ['cancel', { ids: ['gone'] }],
  ] as const
  for (const [name, body] of gone) {
    const answer = await ask(agent, 'POST', `/v1/queue/${name}`, body)
    t.equal(answer.status, 404)
    t.match(answer.body, { error: { code: 'not_found', message: /gone/ } })
  }
  t.strictSame(await order(), [1, 2, 3])
})
