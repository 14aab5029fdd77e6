/** The OpenAPI document is true: every route under /v1 is in it, and answers as it says. */
import type { JsonObject } from '@comfymesh/protocol/json'
import t, { type Test } from 'tap'
import type { Route } from '../../../src/gateway/route.ts'
import { errorSchema } from '../../../src/gateway/v1/answers.ts'
import { type V1Modules, v1Routes } from '../../../src/gateway/v1/routes.ts'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, finished, startTestAgent } from '../../test-agent.ts'

/** The rows alone; nothing here is called. */
const documented = v1Routes({ version: '0', others: [] }, {} as V1Modules).filter(
  ({ path }) => !path.endsWith('*'),
)

t.test('every route under /v1 says what it is for', async (t) => {
  for (const { method, path, documentation } of documented) {
    t.match(documentation?.summary, /^[A-Z].*[^.]$/, `${method} ${path}`)
    t.ok(Object.keys(documentation?.answers ?? {}).length > 0, `${method} ${path}`)
  }
})

const prompt = {
  1: { class_type: 'TN_Int', inputs: { value: 3 } },
  2: {
    class_type: 'TN_Save',
    inputs: { x: ['1', 0], filename_prefix: 'a', count: 1, folder: 'output' },
  },
}

const workflow = { nodes: [{ id: 1, type: 'TN_Int', widgets_values: [3] }], links: [] }

t.test('every route answers as the document says', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const submit = async () => String((await ask(agent, 'POST', '/v1/workflows', { prompt })).body.id)
  const done = await submit()
  await finished(agent, done)
  await ask(agent, 'POST', '/v1/queue/pause')
  const waiting = await Promise.all([submit(), submit(), submit(), submit()])
  const [first, second, third, fourth] = waiting as [string, string, string, string]

  const calls: [row: string, rest: string, body?: JsonObject | undefined, status?: number][] = [
    ['GET /v1/openapi.json', ''],
    ['POST /v1/workflows', '', { prompt }, 201],
    ['POST /v1/workflows', '', {}, 400],
    ['POST /v1/workflows', '', { prompt: { 1: { class_type: 'TN_Int' } } }, 400],
    ['POST /v1/jobs', '', prompt, 201],
    ['POST /v1/workflows/convert', '', workflow],
    ['POST /v1/plan', '', { prompt }],
    ['POST /v1/plan', '', {}, 400],
    ['GET /v1/jobs', ''],
    ['GET /v1/jobs', '?status=completed,queued&limit=2&offset=1'],
    ['GET /v1/jobs', '?limit=none', undefined, 400],
    ['GET /v1/jobs/:id', done],
    ['GET /v1/jobs/:id', 'nobody', undefined, 404],
    ['GET /v1/jobs/:id/output', `${done}?list`],
    ['GET /v1/jobs/:id/output', `${done}?index=5`, undefined, 404],
    ['GET /v1/jobs/:id/output', first, undefined, 202],
    ['POST /v1/queue/move', '', { ids: [first], target: { to: 'end' } }],
    ['POST /v1/queue/move', '', { ids: ['nobody'], target: { to: 'end' } }, 404],
    ['POST /v1/queue/move', '', { ids: 7 }, 400],
    ['POST /v1/queue/priority', '', { ids: [second], priority: 1 }],
    ['POST /v1/queue/cancel', '', { ids: [third] }],
    ['POST /v1/jobs/:id/cancel', first],
    ['GET /v1/jobs/:id/output', first, undefined, 409],
    ['GET /v1/jobs/:id/log', done],
    ['POST /v1/jobs/:id/answer', done, { answer: 'go' }, 404],
    ['POST /v1/jobs/:id/answer', done, { answer: 'perhaps' }, 400],
    ['POST /v1/jobs/:id/answer/plan', done, { answer: 'go' }, 404],
    ['POST /v1/jobs/:id/answer/plan', done, { answer: 'cancel' }, 400],
    ['DELETE /v1/jobs/:id', fourth],
    ['DELETE /v1/jobs/:id', done],
    ['GET /v1/jobs/:id', done, undefined, 404],
    ['POST /v1/queue/clear', ''],
    ['POST /v1/queue/pause', ''],
    ['POST /v1/queue/resume', ''],
    ['GET /v1/queue', ''],
    ['GET /v1/checkpoints', ''],
    ['GET /v1/models', ''],
    ['GET /v1/agent', ''],
    ['GET /v1/agent/token', '', undefined, 404],
    ['GET /v1/doctor', ''],
    ['GET /v1/logs', '?level=warn&limit=5&after=1'],
    ['GET /v1/logs', '?level=loud', undefined, 400],
    ['GET /v1/jobs/:id/log', 'nobody', undefined, 404],
  ]
  const called = new Set<string>()
  for (const [row, rest, body, status = 200] of calls) {
    const [method, path] = row.split(' ') as [string, string]
    const route = documented.find((one) => `${one.method} ${one.path}` === row)
    t.ok(route, row)
    const url = path.includes(':id') ? path.replace(':id', rest.split('?')[0]!) : path
    const query = rest.includes('?') ? rest.slice(rest.indexOf('?')) : ''
    const answer = await ask(agent, method, url + query, body)
    t.equal(answer.status, status, `${row} ${rest} ${answer.text.slice(0, 200)}`)
    checkAnswer(t, route!, answer, `${row} ${rest}`)
    called.add(row)
  }
  // Streams are read in their own tests, and a mesh takes more than one agent.
  const isElsewhere = ({ path, documentation }: Route) =>
    path.startsWith('/v1/mesh/') || documentation?.answers[200]?.contentType === 'text/event-stream'
  const uncalled = documented.filter((one) => !called.has(`${one.method} ${one.path}`))
  t.strictSame(
    uncalled.filter((one) => !isElsewhere(one)).map(({ path }) => path),
    [],
    'all were called',
  )
})

function checkAnswer(
  t: Test,
  { documentation }: Route,
  { status, body }: { status: number; body: JsonObject },
  what: string,
): void {
  const schema = documentation?.answers[status]?.schema ?? (status >= 400 ? errorSchema : undefined)
  const parsed = schema?.safeParse(body)
  t.ok(parsed?.success, `${what} is as documented`, { found: parsed?.error?.message, body })
}

t.test('the document is whole', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const { body, status } = await ask(agent, 'GET', '/v1/openapi.json')
  t.equal(status, 200)
  t.match(body, { openapi: '3.1.0', info: { title: 'comfymesh', version: String } })
  const operations = Object.entries(body.paths as JsonObject).flatMap(([path, methods]) =>
    Object.entries(methods as { [method: string]: JsonObject }).map(([method, operation]) => ({
      path,
      method,
      operation,
    })),
  )
  const ids = operations.map(({ operation }) => operation.operationId)
  t.equal(new Set(ids).size, ids.length, 'operations have names of their own')
  t.ok(operations.some(({ path }) => path === '/health'))
  for (const { path, method, operation } of operations) {
    const parameters = operation.parameters as JsonObject[]
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    const told = parameters.filter((one) => one.in === 'path').map(({ name }) => name)
    t.strictSame(told, inPath, `${method} ${path}`)
    t.ok(parameters.every(({ schema }) => typeof schema === 'object'))
  }
  const references = [...JSON.stringify(body).matchAll(/"\$ref":"#\/([^"]+)"/g)]
  for (const [, pointer] of references) {
    const found = pointer!.split('/').reduce<unknown>((at, key) => (at as JsonObject)?.[key], body)
    t.ok(found, String(pointer))
  }
})

t.test('what does not exist under /v1 is told in the same shape', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const { body, status } = await ask(agent, 'GET', '/v1/nothing')
  t.equal(status, 404)
  t.match(body, { error: { code: 'not_found', message: /GET \/v1\/nothing/, details: {} } })
})
