/** Requests that are odd, broken or meant to harm: each is answered, and the agent goes on. */
import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import type { JsonObject } from '@comfymesh/protocol/json'
import sharp from 'sharp'
import t from 'tap'
import { createFakeExecutor } from '../fake-executor.ts'
import { ask, finished, startTestAgent } from '../test-agent.ts'

const good = {
  1: { class_type: 'TN_Int', inputs: { value: 1 } },
  3: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
}

t.test('large and deep bodies', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const workflow = { text: 'x'.repeat(3_000_000) }
  const extra_data = { extra_pnginfo: { workflow } }
  const { status, body } = await ask(agent, 'POST', '/prompt', { prompt: good, extra_data })
  t.equal(status, 200, 'a workflow of 3 MB')
  await finished(agent, String(body.prompt_id))
  for (const depth of [1500, 3000, 200_000]) {
    const deep = `${'['.repeat(depth)}${']'.repeat(depth)}`
    for (const text of [
      `{"prompt":${deep}}`,
      `{"prompt":${JSON.stringify(good)},"extra_data":{"x":${deep}}}`,
    ])
      t.equal((await ask(agent, 'POST', '/prompt', text)).status, 500, `${depth} levels`)
  }
  t.equal((await ask(agent, 'GET', '/prompt')).status, 200, 'and alive')
  const nested = `{"prompt":${JSON.stringify(good)},"extra_data":{"x":${'['.repeat(900)}${']'.repeat(900)}}}`
  const accepted = await ask(agent, 'POST', '/prompt', nested)
  t.equal(accepted.status, 200)
  await finished(agent, String(accepted.body.prompt_id))
})

t.test('nodes called like methods of objects', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  for (const id of ['constructor', 'toString', 'hasOwnProperty']) {
    const inputs = { x: ['1', 0], filename_prefix: '%constructor%', count: 1, folder: 'output' }
    const prompt = { 1: good[1], [id]: { class_type: 'TN_Save', inputs } }
    const { body } = await ask(agent, 'POST', '/prompt', { prompt })
    const entry = await finished(agent, String(body.prompt_id))
    const outputs = entry.outputs as { [id: string]: { images: { filename: string }[] } }
    t.match(outputs[id]?.images[0]?.filename, /^%constructor%_\d+_.png$/, id)
  }
  const broken = await ask(agent, 'POST', '/prompt', {
    prompt: { constructor: { class_type: 'TN_Out', inputs: {} } },
  })
  t.match((broken.body.node_errors as JsonObject).constructor, { class_type: 'TN_Out' })
  const text = '{"prompt":{"__proto__":{"class_type":"TN_Out","inputs":{"x":1}}}}'
  const refused = await ask(agent, 'POST', '/prompt', text)
  t.equal(refused.status, 400)
  t.match(refused.body.error, { type: 'invalid_prompt', details: /__proto__/ })
})

t.test('a body is read whatever it is called', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const { port } = new URL(agent.url)
  const body = JSON.stringify({ prompt: good })
  const post = (type: string) =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': type, 'content-length': body.length }
      const asked = request({ host: '127.0.0.1', port, path: '/prompt', method: 'POST', headers })
      asked.on('response', (response) => resolve(response.resume().statusCode))
      asked.on('error', reject)
      asked.end(body)
    })
  const types = ['json', ';', '', ', ', 'application/json, application/json', 'text/plain;;']
  for (const type of [...types, 'application/json; charset=klingon'])
    t.equal(await post(type), 200, type || 'empty')
})

t.test('a place in the queue that is no number', async (t) => {
  const dataDir = t.testdir()
  const executor = createFakeExecutor()
  executor.gate = new Promise(() => {})
  const agent = await startTestAgent(t, executor, dataDir)
  const text = `{"number":1e400,"prompt":${JSON.stringify(good)}}`
  t.equal((await ask(agent, 'POST', '/prompt', text)).status, 500)
  await agent.stop()
  await startTestAgent(t, createFakeExecutor(), dataDir)
})

t.test('an interrupt with a body that is no JSON interrupts', async (t) => {
  const executor = createFakeExecutor()
  executor.gate = new Promise(() => {})
  const agent = await startTestAgent(t, executor)
  const { body } = await ask(agent, 'POST', '/prompt', { prompt: good })
  t.equal((await ask(agent, 'POST', '/interrupt', 'now')).status, 200)
  const entry = await finished(agent, String(body.prompt_id))
  t.match(entry.status, { status_str: 'error' })
})

t.test('a picture that was replaced is shown anew', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const colours: number[][] = []
  for (const background of ['#ff0000', '#0000ff']) {
    const create = { width: 8, height: 8, channels: 3, background } as const
    const bytes = await sharp({ create }).png().toBuffer()
    writeFileSync(join(agent.dataDir, 'output', 'a.png'), bytes)
    const answer = await fetch(`${agent.url}/view?filename=a.png&channel=rgb`)
    const pixels = await sharp(await answer.arrayBuffer())
      .raw()
      .toBuffer()
    colours.push([...pixels.subarray(0, 3)])
  }
  t.strictSame(colours, [
    [255, 0, 0],
    [0, 0, 255],
  ])
})

t.test('a client that does not answer does not hold up the end', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const { port, host } = new URL(agent.url)
  const sockets = await Promise.all(
    [0, 1].map(async () => {
      const socket = connectTcp(Number(port), '127.0.0.1')
      const lines = [
        'GET /ws?clientId=same HTTP/1.1',
        `Host: ${host}`,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ]
      socket.write(`${lines.join('\r\n')}\r\n\r\n`)
      await new Promise((resolve) => socket.once('data', resolve))
      return socket.pause().on('error', () => {})
    }),
  )
  const startedAtMs = performance.now()
  await agent.stop()
  t.ok(performance.now() - startedAtMs < 10_000)
  for (const socket of sockets) socket.destroy()
})
