import { planSchema } from '@comfymesh/protocol/plan'
import t from 'tap'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, finished, startTestAgent } from '../../test-agent.ts'

const prompt = {
  4: { class_type: 'TN_Int', inputs: { value: 7 } },
  5: { class_type: 'TN_Out', inputs: { x: ['4', 0] } },
}

t.test('the plan of a prompt, and nothing runs', async (t) => {
  const executor = createFakeExecutor()
  const agent = await startTestAgent(t, executor)
  const { status, body } = await ask(agent, 'POST', '/v1/plan', prompt)
  t.equal(status, 200)
  const plan = planSchema.parse(body.plan)
  t.match(plan, {
    stages: [{ nodes: [{ id: '4' }, { id: '5' }], after: [], outputs: [] }],
    edges: [],
    placements: [{ peerName: 'test', reason: 'the only peer of the mesh', rejected: [] }],
    reason: 'test runs everything, so nothing travels',
    totals: { transferBytes: 0 },
  })
  t.strictSame(body.cachedNodeIds, [])
  t.strictSame(executor.ran, [])
  const queue = await ask(agent, 'GET', '/v1/queue')
  t.strictSame(queue.body.jobs, [])
})

t.test('it is the plan by which the prompt then runs', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const planned = planSchema.parse((await ask(agent, 'POST', '/v1/plan', { prompt })).body.plan)
  const { body } = await ask(agent, 'POST', '/v1/jobs', { prompt })
  await finished(agent, String(body.id))
  const job = await ask(agent, 'GET', `/v1/jobs/${body.id}`)
  const { stages } = planSchema.parse((job.body as { plan: object }).plan)
  t.strictSame(stages, planned.stages)
  const again = await ask(agent, 'POST', '/v1/plan', { prompt })
  t.match(again.body, { plan: { stages: [] }, cachedNodeIds: ['4', '5'] }, 'all of it is known now')
})

t.test('what waits in the queue comes first', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  await ask(agent, 'POST', '/v1/queue/pause')
  const startOf = async () => {
    const { body } = await ask(agent, 'POST', '/v1/plan', prompt)
    return planSchema.parse(body.plan).placements[0]!.estimate.waitMs
  }
  t.equal(await startOf(), 0)
  await ask(agent, 'POST', '/v1/jobs', { prompt })
  t.ok((await startOf()) > 0)
})

t.test('what a prompt asks of the planner', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const plan = (comfymesh: unknown) =>
    ask(agent, 'POST', '/v1/plan', { prompt, extra_data: { comfymesh } })
  const none = await plan({ affinity: { TN_Int: 'attic' }, fallback: 'none' })
  t.equal(none.status, 503)
  t.match(none.body.error, {
    code: 'no_peer',
    message: /^TN_Int \(node 4\) is to run on attic, but no peer is called so/,
  })
  const asked = await plan({ affinity: { TN_Int: 'attic' }, fallback: 'ask' })
  t.match(asked.body.plan, { question: /Run it on test instead\?$/ })
  const wrong = await plan({ fallback: 'perhaps' })
  t.equal(wrong.status, 400)
  t.match(wrong.body.error, { code: 'invalid_prompt', message: /comfymesh\.fallback/ })
  const submitted = await ask(agent, 'POST', '/prompt', {
    prompt,
    extra_data: { comfymesh: { affinity: 5 } },
  })
  t.equal(submitted.status, 400, 'said when a prompt is submitted, not when it runs')
  t.match(submitted.body.error, { type: 'invalid_plan_options', details: /comfymesh\.affinity/ })
  const invalid = await ask(agent, 'POST', '/v1/plan', { 4: prompt[4] })
  t.equal(invalid.status, 400)
})

t.test('a job that wants its user to be asked does not run elsewhere', async (t) => {
  const executor = createFakeExecutor()
  const agent = await startTestAgent(t, executor)
  const comfymesh = { affinity: { TN_Int: 'attic' }, fallback: 'ask' }
  const { body } = await ask(agent, 'POST', '/v1/jobs', { prompt, extra_data: { comfymesh } })
  const job = async () => (await ask(agent, 'GET', `/v1/jobs/${body.id}`)).body
  while ((await job()).status !== 'paused') await new Promise((resolve) => setTimeout(resolve, 10))
  t.match(await job(), { pause: { question: /Run it on test instead\?$/ } })
  t.strictSame(executor.ran, [])
})
