/** The question of a paused job, as clients and the command line see it, and its answers. */
import type { JsonObject } from '@comfymesh/protocol/json'
import t, { type Test } from 'tap'
import { answerOf, questionLines } from '../../../src/cli/answer.ts'
import type { Queue } from '../../../src/cli/queue-client.ts'
import { queueLines } from '../../../src/cli/queue-view.ts'
import { plainTerminal } from '../../cli/terminals.ts'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, finished, startTestAgent } from '../../test-agent.ts'

const prompt = {
  1: { class_type: 'TN_Int', inputs: { value: 7 } },
  2: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
}

async function pausedJob(t: Test) {
  const agent = await startTestAgent(t, createFakeExecutor())
  const extra_data = { comfymesh: { affinity: { TN_Out: 'gone' }, fallback: 'ask' } }
  const { body } = await ask(agent, 'POST', '/prompt', { prompt, extra_data })
  const id = String(body.prompt_id)
  /** The jobs that ask something, as soon as there is one. */
  const asking = async (): Promise<JsonObject[]> => {
    const { body } = await ask(agent, 'GET', '/v1/jobs?status=paused')
    const jobs = body.jobs as unknown as JsonObject[]
    return jobs.length > 0 ? jobs : asking()
  }
  const jobs = await asking()
  const answer = (said: unknown) => ask(agent, 'POST', `/v1/jobs/${id}/answer`, { answer: said })
  return { agent, id, jobs, answer, asking }
}

t.test('a job is told to go on', async (t) => {
  const { agent, id, jobs, answer, asking } = await pausedJob(t)
  t.match(jobs, [{ id, status: 'paused', question: /gone.*Run it on test instead\?/ }])
  const queue = (await ask(agent, 'GET', '/queue')).body
  t.match(queue, { queue_running: [], queue_pending: [[0, id]] }, 'pending for clients of ComfyUI')
  const own = (await ask(agent, 'GET', '/v1/queue')).body as unknown as Queue
  t.match(own.jobs, [{ id, status: 'paused', question: /instead/ }])
  t.match(queueLines(own, plainTerminal).join('\n'), /asks.*Run it on test instead\?/)
  t.equal((await answer('perhaps')).status, 400)
  t.match((await answer({ peer: 'nobody' })).body, { id })
  t.match(await asking(), [{ question: /nobody/ }], 'asked again')
  t.match(await answer('go'), { status: 200, body: { id } })
  t.match(await finished(agent, id), {
    status: { completed: true },
    outputs: { 2: { text: ['7'] } },
  })
  t.equal((await answer('go')).status, 404)
})

t.test('the plan that an answer leads to is shown, and nothing is answered', async (t) => {
  const { agent, id, answer } = await pausedJob(t)
  const preview = (said: unknown) =>
    ask(agent, 'POST', `/v1/jobs/${id}/answer/plan`, { answer: said })
  t.match((await preview({ peer: 'nobody' })).body, { plan: { question: /nobody/ } })
  const there = await preview({ peer: 'test' })
  t.match(there.body, { plan: { placements: [{ peerName: 'test' }] } })
  t.equal((there.body.plan as JsonObject).question, undefined)
  t.equal((await preview('cancel')).status, 400)
  t.match((await ask(agent, 'GET', `/v1/jobs/${id}`)).body, { status: 'paused' })
  await answer({ peer: 'test' })
  await finished(agent, id)
  const { body } = await ask(agent, 'GET', `/v1/jobs/${id}`)
  const stagesOf = (plan: unknown) => (plan as { stages: { id: string }[] }).stages
  t.strictSame(stagesOf(body.plan), stagesOf(there.body.plan), 'it went on by that plan')
  t.equal((await preview('go')).status, 404)
})

t.test('a job is cancelled', async (t) => {
  const { agent, id, answer } = await pausedJob(t)
  t.match(await answer('cancel'), { status: 200, body: { status: 'interrupted' } })
  t.match(await finished(agent, id), { status: { completed: false } })
})

t.test('deleting it in ComfyUI cancels it, too', async (t) => {
  const { agent, id } = await pausedJob(t)
  await ask(agent, 'POST', '/queue', { delete: [id] })
  t.match((await ask(agent, 'GET', `/v1/jobs/${id}`)).body, { status: 'interrupted' })
})

t.test('the words of the command line', async (t) => {
  t.strictSame(answerOf(undefined, 'studio-pc'), { peer: 'studio-pc' })
  t.equal(answerOf('go', undefined), 'go')
  t.throws(() => answerOf('yes', undefined), /no answer/)
  t.throws(() => answerOf('go', 'studio-pc'), /one thing/)
  t.strictSame(questionLines([]), ['No job waits for an answer.'])
  t.strictSame(questionLines([{ id: 'abcdefgh-1', question: 'There?' }]), ['abcdefgh  There?'])
})
