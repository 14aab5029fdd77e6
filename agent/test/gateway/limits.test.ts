/** Too much of everything: each has an end, and others are served meanwhile. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import fastify from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import type { AgentSettings } from '../../src/agent.ts'
import { installBodies } from '../../src/gateway/bodies.ts'
import { limitConnections } from '../../src/gateway/connections.ts'
import { installFailures } from '../../src/gateway/failures.ts'
import { createFakeExecutor } from '../fake-executor.ts'
import { ask, startTestAgent } from '../test-agent.ts'

const MEGABYTE = 2 ** 20

const start = (t: Test, settings: Partial<AgentSettings> = {}) =>
  startTestAgent(t, createFakeExecutor(), t.testdir(), settings)

function open(t: Test, url: string): Socket {
  const socket = connectTcp(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  return socket
}

t.test('a body above the limit', async (t) => {
  const agent = await start(t, { maxUploadBytes: MEGABYTE })
  const { host } = new URL(agent.url)
  t.equal((await ask(agent, 'GET', '/features')).body.max_upload_size, MEGABYTE, 'is announced')
  const announced = open(t, agent.url)
  announced.write(`POST /prompt HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1e99\r\n\r\n`)
  t.match(await text(announced), /^HTTP\/1.1 400/, 'a length that is none')
  const large = open(t, agent.url)
  const length = MEGABYTE + 1
  large.write(`POST /prompt HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${length}\r\n\r\n`)
  const [answer] = await once(large, 'data')
  t.match(String(answer), /^HTTP\/1.1 413.*larger than 1 MB/s, 'before its first byte')
  const chunked = new ReadableStream({
    pull(controller) {
      controller.enqueue(new Uint8Array(64 * 1024))
    },
  })
  const init = { method: 'POST', body: chunked, duplex: 'half' } as RequestInit
  const endless = await fetch(`${agent.url}/prompt`, init).then(
    ({ status }) => status,
    () => 'cut off',
  )
  t.ok(endless === 413 || endless === 'cut off', `one that never ends: ${endless}`)
  t.equal((await ask(agent, 'GET', '/prompt')).status, 200)
})

t.test('many large bodies at once wait for each other', async (t) => {
  const agent = await start(t, { maxUploadBytes: MEGABYTE })
  const { host } = new URL(agent.url)
  const head = `POST /prompt HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${MEGABYTE}\r\n\r\n`
  const almost = Buffer.alloc(MEGABYTE - 1)
  const sockets = Array.from({ length: 5 }, () => open(t, agent.url))
  for (const socket of sockets) {
    socket.write(head)
    socket.write(almost)
  }
  const answered = await Promise.race(sockets.map((socket) => once(socket, 'data')))
  t.match(String(answered[0]), /^HTTP\/1.1 503.*Try again/s)
  for (const socket of sockets) socket.destroy()
  const later = async (): Promise<number> => {
    const { status } = await ask(agent, 'POST', '/interrupt', 'x'.repeat(MEGABYTE))
    return status === 503 ? later() : status
  }
  t.equal(await later(), 200, 'and what was held is free again')
})

t.test('a body that does not arrive', async (t) => {
  const server = fastify({ forceCloseConnections: true })
  installFailures(server, () => {})
  const pace = { graceMs: 300, bytesPerSecond: 1 }
  installBodies(server, { maxBytes: MEGABYTE, pace })
  server.post('/', async ({ body }) => String((body as Buffer).length))
  const url = await server.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  const begin = (sent: number) => {
    const socket = open(t, url)
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n')
    socket.write('x'.repeat(sent))
    return socket
  }
  const steady = begin(1000)
  const stalled = await text(begin(0))
  t.match(stalled, /^HTTP\/1.1 408.*too slowly.*faster connection/s)
  t.match(stalled, /^connection: close\r$/im, 'and the connection is free')
  steady.write('x'.repeat(1000))
  const [answer] = await once(steady, 'data')
  t.match(String(answer), /^HTTP\/1.1 200.*2000/s, 'what comes at its pace may come for longer')
})

t.test('headers that do not arrive', { timeout: 60_000 }, async (t) => {
  const agent = await start(t)
  const socket = open(t, agent.url)
  socket.write('GET /prompt HTTP/1.1\r\nHost: ')
  const answer = text(socket)
  const dripping = setInterval(() => socket.write('a'), 1000)
  t.teardown(() => clearInterval(dripping))
  t.match(await answer, /^HTTP\/1.1 408/)
})

/** A server of two connections. */
async function smallServer(t: Test): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url === '/slow') response.write('...')
    else response.end('done')
  })
  limitConnections(server, { total: 2, perAddress: 1 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return server
}

t.test('connections that ask for nothing make room', async (t) => {
  const server = await smallServer(t)
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const silent = open(t, url)
  await once(server, 'connection')
  const slow = open(t, url)
  slow.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(slow, 'data')
  const third = open(t, url)
  third.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await Promise.all([once(silent, 'close'), once(third, 'data')])
  t.notOk(slow.closed, 'who waits for an answer stays')
  const fourth = open(t, url)
  fourth.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
  await Promise.all([once(third, 'close'), once(fourth, 'data')])
  const fifth = open(t, url)
  await once(fifth, 'close')
  t.notOk(slow.closed || fourth.closed, 'where all wait for an answer nobody else gets in')
})

t.test('thousands of silent connections', async (t) => {
  const agent = await start(t)
  const { host } = new URL(agent.url)
  for (let round = 0; round < 5; round++) {
    const batch = Array.from({ length: 500 }, () => open(t, agent.url))
    await Promise.all(batch.map((socket) => once(socket, 'connect')))
    // Half of them begin to speak.
    for (const socket of batch.slice(250))
      socket.write(`GET /prompt HTTP/1.1\r\nHost: ${host}\r\nX-`)
  }
  t.equal((await ask(agent, 'GET', '/prompt')).status, 200)
})

t.test('a WebSocket client that does not stop talking is let go', async (t) => {
  const agent = await start(t)
  for (const talk of ['ping', 'send'] as const) {
    const socket = new WebSocket(`${agent.url.replace('http', 'ws')}/ws`)
    socket.on('error', () => {})
    await once(socket, 'open')
    for (let i = 0; i < 1000; i++) socket[talk]('x')
    const [code] = await once(socket, 'close')
    t.equal(code, 1006, talk)
  }
  const socket = new WebSocket(`${agent.url.replace('http', 'ws')}/ws`)
  socket.on('error', () => {})
  await once(socket, 'open')
  socket.send(Buffer.alloc(2 * MEGABYTE))
  const [code] = await once(socket, 'close')
  t.equal(code, 1009, 'a giant frame')
  t.equal((await ask(agent, 'GET', '/prompt')).status, 200)
})

t.test('more WebSocket clients than there is room for', async (t) => {
  const agent = await start(t)
  const sockets = Array.from({ length: 501 }, () => {
    const socket = new WebSocket(`${agent.url.replace('http', 'ws')}/ws`)
    t.teardown(() => socket.terminate())
    return socket
  })
  const codes = await Promise.race(sockets.map((socket) => once(socket, 'close')))
  t.equal(codes[0], 1013, 'the last one is told to try again later')
  t.equal((await ask(agent, 'GET', '/prompt')).status, 200)
})
