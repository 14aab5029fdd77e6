/** ComfyUI's /api/jobs. */
import type { JsonObject } from '@comfymesh/protocol/json'
import t from 'tap'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, finished, startTestAgent } from '../../test-agent.ts'

const int = (value: number) => ({ class_type: 'TN_Int', inputs: { value } })
const out = { class_type: 'TN_Out', inputs: { x: ['1', 0] } }
const fail = { class_type: 'TN_Fail', inputs: { x: ['1', 0] } }
const save = (folder: string) => ({
  class_type: 'TN_Save',
  inputs: { x: ['1', 0], filename_prefix: 'a', count: 2, folder },
})

interface Page {
  readonly jobs: JsonObject[]
  readonly pagination: JsonObject
}

async function setUp(t: Parameters<typeof startTestAgent>[0]) {
  const executor = createFakeExecutor()
  const agent = await startTestAgent(t, executor)
  const submit = async (prompt: object, workflow?: string) => {
    const extra_data =
      workflow === undefined ? {} : { extra_pnginfo: { workflow: { id: workflow } } }
    const { body } = await ask(agent, 'POST', '/prompt', { prompt, extra_data })
    return String(body.prompt_id)
  }
  const list = async (query = '') =>
    (await ask(agent, 'GET', `/api/jobs${query}`)).body as unknown as Page
  const ids = async (query: string) => (await list(query)).jobs.map(({ id }) => id)
  return { executor, agent, submit, list, ids }
}

t.test('jobs that ended', async (t) => {
  const { agent, submit, list, ids } = await setUp(t)
  const shown = await submit({ 1: int(1), 2: out, 3: save('temp'), 4: save('output') }, 'w1')
  await finished(agent, shown)
  const failed = await submit({ 1: int(2), 2: fail, 3: { ...out, inputs: { x: ['2', 0] } } })
  await finished(agent, failed)
  const told = await submit({ 1: int(3), 2: out }, 'w1')
  await finished(agent, told)

  const { jobs, pagination } = await list('?sort_order=asc')
  t.strictSame(pagination, { offset: 0, limit: null, total: 3, has_more: false })
  t.strictSame(Object.keys(jobs[0]!), [
    'id',
    'status',
    'priority',
    'create_time',
    'execution_start_time',
    'execution_end_time',
    'outputs_count',
    'previewable_outputs_count',
    'preview_output',
    'workflow_id',
  ])
  const pictures = { outputs_count: 4, previewable_outputs_count: 4, workflow_id: 'w1' }
  t.match(jobs[0], { id: shown, status: 'completed', priority: 0, ...pictures })
  t.strictSame(
    jobs[0]!.preview_output,
    { mediaType: 'images', filename: 'a_00001_.png', subfolder: '', type: 'output', nodeId: '4' },
    'the first that was saved, not the first that was shown',
  )
  t.match(jobs[1], { id: failed, status: 'failed', execution_error: { node_id: '2' } })
  t.notOk('preview_output' in jobs[1]!)
  t.strictSame(jobs[2]!.preview_output, { content: '3', nodeId: '2', mediaType: 'text' })
  t.equal(jobs[2]!.outputs_count, 0, 'a text is no output')

  t.strictSame(await ids('?sort_order=desc'), [told, failed, shown])
  t.strictSame(await ids('?workflow_id=w1'), [told, shown])
  t.strictSame(await ids('?status=Failed, cancelled'), [failed])
  t.strictSame(await ids('?status=pending'), [])
  t.strictSame(await ids('?limit=1&offset=1'), [failed])
  t.strictSame(await ids('?offset=-4&limit=+2'), [told, failed])
  t.strictSame((await list('?limit=2')).pagination, {
    offset: 0,
    limit: 2,
    total: 3,
    has_more: true,
  })
  t.equal((await ids('?sort_by=execution_duration')).length, 3)

  const detail = (await ask(agent, 'GET', `/api/jobs/${told}`)).body
  t.match(detail, {
    outputs: { 2: { text: ['3'] } },
    execution_status: { status_str: 'success', completed: true },
    workflow: { prompt: { 1: int(3) }, extra_data: { extra_pnginfo: { workflow: { id: 'w1' } } } },
  })
  const missing = await ask(agent, 'GET', '/api/jobs/unknown')
  t.strictSame([missing.status, missing.text], [404, '{"error":"Job not found"}'])
})

t.test('jobs that wait and run, and their end', async (t) => {
  const { executor, agent, submit, list } = await setUp(t)
  executor.gate = new Promise(() => {})
  const [running, first, second] = [
    await submit({ 1: int(1), 2: out }),
    await submit({ 1: int(2), 2: out }),
    await submit({ 1: int(3), 2: out }),
  ]
  const statuses = async () =>
    Object.fromEntries((await list()).jobs.map(({ id, status }) => [id, status]))
  t.strictSame(await statuses(), {
    [second]: 'pending',
    [first]: 'pending',
    [running]: 'in_progress',
  })
  t.match((await ask(agent, 'GET', `/api/jobs/${first}`)).body, {
    status: 'pending',
    outputs_count: 0,
    workflow: { prompt: { 1: int(2) } },
  })
  const cancel = async (path: string, body?: object | string) =>
    (await ask(agent, 'POST', `/api/jobs${path}`, body)).text
  t.equal(await cancel(`/${first}/cancel`), '{"cancelled":true}')
  t.equal(await cancel(`/${first}/cancel`), '{"cancelled":false}')
  t.equal((await ask(agent, 'GET', `/api/jobs/${first}`)).status, 404, 'it never began')
  t.equal(await cancel('/cancel', { job_ids: [first] }), '{"cancelled":false}')
  t.equal(await cancel('/cancel', { job_ids: [second, running] }), '{"cancelled":true}')
  await finished(agent, running)
  t.strictSame(await statuses(), { [running]: 'cancelled' })

  t.equal(await cancel('/cancel', 'x'), '{"error":"Request body must be valid JSON"}')
  for (const body of ['[]', '{}', '{"job_ids":"a"}'])
    t.equal(await cancel('/cancel', body), '{"error":"job_ids must be a list"}', body)
  t.equal(
    await cancel('/cancel', { job_ids: [running, 'X', 5, { a: null }] }),
    `{"error":"job_ids contains invalid id(s)","invalid_ids":["X","5","{'a': None}"]}`,
  )
})

t.test('what cannot be asked', async (t) => {
  const { agent } = await setUp(t)
  const answers = {
    'status=done,pending,x':
      'Invalid status value(s): done, x. Valid values: pending, in_progress, completed, failed, cancelled',
    'sort_by=name': "sort_by must be 'created_at' or 'execution_duration'",
    'sort_order=up': "sort_order must be 'asc' or 'desc'",
    'limit=x': 'limit must be an integer',
    'limit=1.5': 'limit must be an integer',
    'limit=0': 'limit must be a positive integer',
    'offset=': 'offset must be an integer',
  }
  for (const [query, error] of Object.entries(answers)) {
    const answer = await ask(agent, 'GET', `/api/jobs?${query}`)
    t.strictSame([answer.status, answer.body], [400, { error }], query)
  }
  t.equal((await ask(agent, 'GET', '/jobs')).status, 404, 'below /api only')
})
