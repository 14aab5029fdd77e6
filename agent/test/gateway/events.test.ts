/** The WebSocket's messages in ComfyUI's order, as its transcripts have them. */
import type { JsonObject } from '@comfymesh/protocol/json'
import t from 'tap'
import { createFakeExecutor } from '../fake-executor.ts'
import { ask, connect, isEnd, type SocketMessage, startTestAgent } from '../test-agent.ts'

const int = (value: number) => ({ class_type: 'TN_Int', inputs: { value } })
const out = (from: string) => ({ class_type: 'TN_Out', inputs: { x: [from, 0] } })
const steps = (count: number, ms: number, preview: boolean) => ({
  class_type: 'TN_Steps',
  inputs: { x: ['1', 0], steps: count, ms, preview },
})

/** A message in a line, as the transcripts print them. */
function line({ type, data }: SocketMessage): string {
  switch (type) {
    case 'status':
      return `status ${(data as { status: JsonObject & { exec_info: JsonObject } }).status.exec_info.queue_remaining}`
    case 'execution_cached':
      return `execution_cached [${data.nodes}]`
    case 'executing':
      return `executing ${data.node}`
    case 'executed':
      return `executed ${data.node} ${JSON.stringify(data.output)}`
    case 'progress':
      return `progress ${data.node} ${data.value}/${data.max}`
    case 'progress_state': {
      const nodes = Object.entries(data.nodes as Record<string, JsonObject>)
      return `progress_state {${nodes.map(([id, n]) => `${id}:${n.state} ${n.value}/${n.max}`).join(', ')}}`
    }
    case 'execution_error':
      return `execution_error ${data.node_id} ${data.node_type} [${data.executed}] ${data.exception_message}`
    case 'execution_interrupted':
      return `execution_interrupted ${data.node_id} ${data.node_type} [${data.executed}]`
    default:
      return type
  }
}

const clientId = 'client-1'

async function setUp(t: Parameters<typeof connect>[0], cache = false) {
  const executor = createFakeExecutor({ cache })
  const agent = await startTestAgent(t, executor)
  const socket = await connect(t, agent, `?clientId=${clientId}`)
  await socket.until(({ type }) => type === 'status')
  const run = async (prompt: object, more: object = {}) => {
    const from = socket.messages.length
    const { body } = await ask(agent, 'POST', '/prompt', { prompt, client_id: clientId, ...more })
    const id = String(body.prompt_id)
    await socket.until(isEnd(id))
    return { id, lines: socket.messages.slice(from).map(line) }
  }
  return { executor, agent, socket, run }
}

t.test('success, with previews', async (t) => {
  const { socket, run } = await setUp(t)
  socket.send({ type: 'feature_flags', data: { supports_preview_metadata: true } })
  await socket.until(({ type }) => type === 'feature_flags')
  const { id, lines } = await run({ 1: int(43), 2: steps(2, 5, true), 3: out('2') })
  t.strictSame(lines, [
    'status 1',
    'status 1',
    'execution_start',
    'execution_cached []',
    'progress_state {1:running 0/1}',
    'executing 1',
    'progress_state {1:finished 1/1}',
    'progress_state {1:finished 1/1, 2:running 0/1}',
    'executing 2',
    'progress_state {1:finished 1/1, 2:running 1/2}',
    'binary-4',
    'progress 2 1/2',
    'progress_state {1:finished 1/1, 2:running 2/2}',
    'binary-4',
    'progress 2 2/2',
    'progress_state {1:finished 1/1, 2:finished 2/2}',
    'progress_state {1:finished 1/1, 2:finished 2/2, 3:running 0/1}',
    'executing 3',
    'executed 3 {"text":["43"]}',
    'progress_state {1:finished 1/1, 2:finished 2/2, 3:finished 1/1}',
    'execution_success',
    'status 0',
    'executing null',
  ])
  const preview = socket.messages.find(({ type }) => type === 'binary-4')!
  t.strictSame(preview.data, {
    node_id: '2',
    prompt_id: id,
    display_node_id: '2',
    parent_node_id: null,
    real_node_id: '2',
    image_type: 'image/png',
    head: '89504e47',
  })
  const state = socket.messages.find(({ type }) => type === 'progress_state')!
  t.strictSame(state.data, {
    prompt_id: id,
    nodes: {
      1: {
        value: 0,
        max: 1,
        state: 'running',
        node_id: '1',
        prompt_id: id,
        display_node_id: '1',
        parent_node_id: null,
        real_node_id: '1',
      },
    },
  })
})

t.test('cached wholly and in part', async (t) => {
  const { run, executor } = await setUp(t, true)
  const prompt = { 1: int(43), 2: steps(2, 0, false), 3: out('2') }
  await run(prompt)
  const again = await run(prompt)
  t.strictSame(again.lines, [
    'status 1',
    'status 1',
    'execution_start',
    'execution_cached [1,2,3]',
    'executed 3 {"text":["43"]}',
    'progress_state {3:finished 1/1}',
    'execution_success',
    'status 0',
    'executing null',
  ])
  t.equal(executor.ran.length, 3, 'nothing ran twice')
  const changed = await run({ ...prompt, 2: steps(1, 0, false) })
  t.strictSame(changed.lines, [
    'status 1',
    'status 1',
    'execution_start',
    'execution_cached [1]',
    'progress_state {2:running 0/1}',
    'executing 2',
    'progress_state {2:running 1/1}',
    'progress 2 1/1',
    'progress_state {2:finished 1/1}',
    'progress_state {2:finished 1/1, 3:running 0/1}',
    'executing 3',
    'executed 3 {"text":["43"]}',
    'progress_state {2:finished 1/1, 3:finished 1/1}',
    'execution_success',
    'status 0',
    'executing null',
  ])
})

t.test('interrupted', async (t) => {
  const { agent, socket, run } = await setUp(t)
  const running = run({ 1: int(5), 2: steps(50, 40, false), 3: out('2') })
  await socket.until(({ type }) => type === 'progress')
  const other = { prompt_id: '11111111-2222-4333-8444-555555555555' }
  t.equal((await ask(agent, 'POST', '/interrupt', other)).status, 200)
  t.notOk(
    socket.messages.some(({ type }) => type === 'execution_interrupted'),
    'not that one',
  )
  const json = { 'content-type': 'application/json' }
  t.equal((await ask(agent, 'POST', '/api/interrupt', '', json)).status, 200, 'an empty body')
  const { id, lines } = await running
  t.strictSame(lines.slice(-3), [
    'execution_interrupted 2 TN_Steps [1]',
    'status 0',
    'executing null',
  ])
  t.notOk(lines.some((text) => text.startsWith('executed 3') || text === 'execution_success'))
  const { body } = await ask(agent, 'GET', `/history/${id}`)
  const { status, outputs } = body[id] as { status: JsonObject; outputs: JsonObject }
  t.equal(status.status_str, 'error')
  t.equal(status.completed, false)
  t.strictSame(outputs, {})
  t.equal((status.messages as [string][])[2]![0], 'execution_interrupted')
})

t.test('failing', async (t) => {
  const { run, socket } = await setUp(t)
  const { lines } = await run({
    1: int(6),
    2: { class_type: 'TN_Fail', inputs: { x: ['1', 0] } },
    3: out('2'),
  })
  t.strictSame(lines.slice(4), [
    'progress_state {1:running 0/1}',
    'executing 1',
    'progress_state {1:finished 1/1}',
    'progress_state {1:finished 1/1, 2:running 0/1}',
    'executing 2',
    'execution_error 2 TN_Fail [1] boom 6\n',
    'status 0',
    'executing null',
  ])
  const error = socket.messages.find(({ type }) => type === 'execution_error')!
  t.strictSame(Object.keys(error.data).sort(), [
    'current_inputs',
    'current_outputs',
    'exception_message',
    'exception_type',
    'executed',
    'node_id',
    'node_type',
    'prompt_id',
    'timestamp',
    'traceback',
  ])
})

t.test('a partial run, and an order as ComfyUI chooses it', async (t) => {
  const { run } = await setUp(t)
  const executing = (lines: string[]) => lines.filter((text) => text.startsWith('executing'))
  const prompt = { 1: int(13), 2: steps(1, 0, false), 3: out('1'), 4: out('2') }
  const partial = await run(prompt, { partial_execution_targets: ['3'] })
  t.strictSame(executing(partial.lines), ['executing 1', 'executing 3', 'executing null'])
  const add = (a: string, b: string) => ({
    class_type: 'TN_Add',
    inputs: { a: [a, 0], b: [b, 0] },
  })
  const graph = {
    1: int(1),
    4: int(4),
    2: add('1', '4'),
    3: out('2'),
    5: add('2', '2'),
    6: out('5'),
  }
  const { lines } = await run(graph)
  t.strictSame(executing(lines), [
    'executing 4',
    'executing 1',
    'executing 2',
    'executing 3',
    'executing 5',
    'executing 6',
    'executing null',
  ])
})

t.test('who gets which message', async (t) => {
  const { agent, socket } = await setUp(t)
  const other = await connect(t, agent)
  const prompt = (value: number) => ({ 1: int(value), 2: steps(1, 0, true), 3: out('2') })
  const kinds = (messages: SocketMessage[], from: number) => [
    ...new Set(messages.slice(from).map(({ type }) => type)),
  ]
  const idle = async (target: typeof socket, from: number) => {
    const isIdle = (message: SocketMessage) => line(message) === 'status 0'
    await target.until((message) => target.messages.indexOf(message) >= from && isIdle(message))
  }

  let from = other.messages.length
  await ask(agent, 'POST', '/prompt', { prompt: prompt(1), client_id: clientId })
  await idle(other, from)
  t.strictSame(kinds(other.messages, from), ['status'], 'another client: the queue only')

  from = other.messages.length
  await ask(agent, 'POST', '/prompt', { prompt: prompt(2) })
  await idle(other, from)
  t.strictSame(
    kinds(other.messages, from).sort(),
    ['binary-1', 'progress', 'progress_state', 'status'],
    'without a client id progress is for everybody, the rest for nobody',
  )

  from = other.messages.length
  await ask(agent, 'POST', '/prompt', { prompt: prompt(3), client_id: 'gone' })
  await idle(other, from)
  t.strictSame(kinds(other.messages, from), ['status'], 'an unknown client: nobody')
})

t.test('connecting', async (t) => {
  const { agent, socket } = await setUp(t)
  t.equal(socket.messages[0]!.data.sid, clientId)
  const anonymous = await connect(t, agent)
  const { data } = await anonymous.until(({ type }) => type === 'status')
  t.match(data.sid, /^[0-9a-f]{32}$/)
  anonymous.send({ type: 'something else' })
  anonymous.send({ type: 'feature_flags', data: {} })
  const body = { prompt: { 1: int(1), 2: steps(20, 20, false), 3: out('2') }, client_id: clientId }
  const { body: accepted } = await ask(agent, 'POST', '/prompt', body)
  await socket.until(({ type }) => type === 'progress')
  socket.close()
  const again = await connect(t, agent, `?clientId=${clientId}`)
  await again.until(isEnd(String(accepted.prompt_id)))
  const lines = again.messages.map(line)
  t.strictSame(lines.slice(0, 2), ['status 1', 'executing 2'], 'told where it stands')
  t.strictSame(lines.slice(-3), ['execution_success', 'status 0', 'executing null'], 'and the rest')
  t.notOk(
    anonymous.messages.some(({ type }) => type === 'feature_flags'),
    'only the first message is read',
  )
})
