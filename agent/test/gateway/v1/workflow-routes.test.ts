import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type JsonObject, parseJson } from '@comfymesh/protocol/json'
import t, { type Test } from 'tap'
import { readPngText } from '../../../src/base/png-text.ts'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, startTestAgent } from '../../test-agent.ts'

const workflow = {
  nodes: [
    { id: 4, type: 'TN_Int', title: 'Count', widgets_values: [7] },
    {
      id: 5,
      type: 'TN_Save',
      inputs: [{ name: 'x', type: 'INT', link: 1 }],
      widgets_values: ['drawn', 1, 'output'],
    },
  ],
  links: [[1, 4, 0, 5, 0, 'INT']],
  version: 0.4,
  extra: {},
}

const prompt = {
  4: { class_type: 'TN_Int', inputs: { value: 7 }, _meta: { title: 'Count' } },
  5: {
    class_type: 'TN_Save',
    inputs: { x: ['4', 0], filename_prefix: 'made', count: 2, folder: 'output' },
  },
}

/** An agent that accepts jobs and begins none. */
async function pausedAgent(t: Test) {
  const agent = await startTestAgent(t, createFakeExecutor())
  await ask(agent, 'POST', '/v1/queue/pause')
  return agent
}

const submit = (agent: { url: string }, body: object) => ask(agent, 'POST', '/v1/workflows', body)

t.test('a workflow runs, and its picture carries it', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const { status, body } = await submit(agent, workflow)
  t.equal(status, 201)
  t.match(body, { status: 'queued', warnings: [], links: { self: `/v1/jobs/${body.id}` } })
  const { output } = body.links as { output: string }
  const picture = await ask(agent, 'GET', `${output}?wait=30`)
  t.equal(picture.status, 200)
  t.equal(picture.type, 'image/png')
  const file = readFileSync(join(agent.dataDir, 'output', 'drawn_00001_.png'))
  const texts = Object.fromEntries(readPngText(file))
  t.strictSame(parseJson(texts.workflow!), workflow)
  t.match(parseJson(texts.prompt!), { 4: { class_type: 'TN_Int', inputs: { value: 7 } } })
})

t.test('what may stand around a workflow or a prompt', async (t) => {
  const agent = await pausedAgent(t)
  const set = { '4.value': 9, 'tn_save.count': 1 }
  const inputsOf = async (body: object) => {
    const { body: accepted } = await submit(agent, body)
    const { body: job } = await ask(agent, 'GET', `/v1/jobs/${accepted.id}`)
    return (job as { request: { prompt: Record<string, { inputs: JsonObject }> } }).request
  }
  for (const body of [
    { workflow },
    { prompt: workflow },
    { workflow: prompt },
    { prompt },
    prompt,
  ]) {
    t.match((await inputsOf(body)).prompt['4']?.inputs, { value: 7 })
  }
  t.match((await inputsOf({ workflow, set })).prompt['4']?.inputs, { value: 9 })
  t.match((await inputsOf({ prompt, set: { 'Count.value': 8 } })).prompt['4']?.inputs, { value: 8 })
  t.match((await inputsOf({ prompt, workflow, set })).prompt['4']?.inputs, { value: 9 })

  const more = { id: 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee', client_id: 'me', front: true }
  const request = await inputsOf({
    workflow,
    ...more,
    extra_data: { api_key_comfy_org: 'secret', extra_pnginfo: { note: 'x' }, other: 1 },
  })
  t.match(request, { id: more.id, extraData: { client_id: 'me', other: 1 } })
  t.strictSame((request as unknown as { extraData: JsonObject }).extraData.extra_pnginfo, {
    workflow,
    note: 'x',
  })
  t.notMatch(JSON.stringify(request), /secret/)
})

t.test('what cannot run is refused with the reasons', async (t) => {
  const agent = await pausedAgent(t)
  const refused = async (body: object | string) => {
    const answer = await ask(agent, 'POST', '/v1/workflows', body)
    t.equal(answer.status, 400)
    return answer.body.error as { code: string; message: string; details: JsonObject }
  }
  t.match(await refused('{'), { code: 'invalid_request', message: /no JSON/ })
  t.match(await refused('[]'), { code: 'invalid_request' })
  t.match(await refused({ a: 1 }), { code: 'invalid_request', message: /neither/ })
  t.match(await refused({ prompt, set: { 'Nobody.x': 1 } }), {
    message: /set Nobody.x: there is no such node. There are: 4 \(Count\)/,
  })
  t.match(await refused({ prompt, set: { '4.nothing': 1 } }), {
    message: /Count has no such input. It has: value, f, mode/,
  })
  t.match(await refused({ prompt: { ...prompt, 6: prompt[4] }, set: { 'Count.value': 1 } }), {
    message: /several nodes are called that; say which: 4, 6/,
  })
  const bad = await refused({
    prompt: { ...prompt, 4: { class_type: 'TN_Int', inputs: { value: 900 } } },
  })
  t.match(bad, { code: 'invalid_prompt', message: /node 4 \(TN_Int\): Value 900 bigger than max/ })
  t.match(bad.details, { type: 'prompt_outputs_failed_validation', nodeErrors: { 4: {} } })
  const unknown = { nodes: [{ id: 1, type: 'NoSuchNode' }], links: [] }
  t.match(await refused(unknown), {
    code: 'invalid_prompt',
    message: /There is no node NoSuchNode/,
  })
})

t.test('outputs that cannot run are told as warnings', async (t) => {
  const agent = await pausedAgent(t)
  const { body } = await submit(agent, { ...prompt, 6: { class_type: 'TN_Out', inputs: {} } })
  t.match(body.warnings, [{ nodeId: '6', message: /Left out: Required input is missing: x/ }])
})

t.test('a conversion alone', async (t) => {
  const agent = await pausedAgent(t)
  const { body } = await ask(agent, 'POST', '/v1/workflows/convert', workflow)
  t.match(body, { prompt: { 4: { inputs: { value: 7 } } }, warnings: [] })
})
