/** Who is let in by a running agent, asked with raw sockets and as browsers and scripts ask. */
import { connect as connectTcp } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import type { AgentSettings } from '../../src/agent.ts'
import { rotateAccessToken } from '../../src/store/access-token.ts'
import { createFakeExecutor } from '../fake-executor.ts'
import { ask, startTestAgent } from '../test-agent.ts'

type Agent = Awaited<ReturnType<typeof startTestAgent>>

const start = (t: Test, settings: Partial<AgentSettings> = {}) =>
  startTestAgent(t, createFakeExecutor(), t.testdir(), settings)

/** Sends the lines as they are. @returns the whole answer. */
async function raw({ url }: Agent, ...lines: string[]): Promise<string> {
  const socket = connectTcp(Number(new URL(url).port), '127.0.0.1')
  socket.end(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`)
  return text(socket)
}

/** How a WebSocket handshake ends: 101, or the status of the refusal. */
function handshake(
  agent: Agent,
  path: string,
  headers: Record<string, string> = {},
): Promise<number> {
  const socket = new WebSocket(agent.url.replace('http', 'ws') + path, { headers })
  return new Promise((resolve) => {
    socket.on('open', () => resolve(101))
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode!))
    socket.on('error', () => {})
  }).finally(() => socket.terminate()) as Promise<number>
}

t.test('requests whose host or target is ambiguous', async (t) => {
  const agent = await start(t)
  const { host } = new URL(agent.url)
  const status = async (...lines: string[]) => (await raw(agent, ...lines)).split(' ', 2)[1]
  t.equal(await status('GET /queue HTTP/1.1', `Host: ${host}`), '200')
  t.equal(await status('GET /queue HTTP/1.1', `Host: ${host}`, 'Host: evil.com'), '400')
  t.equal(await status('GET /queue HTTP/1.1', 'Host: evil.com', `HOST: ${host}`), '400')
  t.equal(await status('GET /queue HTTP/1.1'), '400', 'none')
  t.equal(await status('GET /queue HTTP/1.1', 'Host: evil.com'), '403')
  t.equal(await status('GET http://evil.com/queue HTTP/1.1', `Host: ${host}`), '400')
  t.equal(await status(`GET http://${host}/queue HTTP/1.1`, 'Host: evil.com'), '400')
  t.equal(await status('OPTIONS * HTTP/1.1', `Host: ${host}`), '200')
  t.equal(await status('GET /queue HTTP/1.0'), '403', 'old, and without a host')
  const origins = ['Origin: http://evil.com', `Origin: http://${host}`]
  t.equal(await status('GET /queue HTTP/1.1', `Host: ${host}`, ...origins), '403', 'two origins')
  t.equal(await status('GET /queue HTTP/1.1', `Host: ${host}`, 'Origin: null'), '403')
})

t.test('the WebSocket takes the same guests', async (t) => {
  const agent = await start(t)
  const { host } = new URL(agent.url)
  t.equal(await handshake(agent, '/ws'), 101)
  t.equal(await handshake(agent, '/api/ws?clientId=a', { origin: `http://${host}` }), 101)
  t.equal(await handshake(agent, '/ws', { origin: 'http://evil.com' }), 403)
  t.equal(await handshake(agent, '/ws', { origin: 'null' }), 403)
  t.equal(await handshake(agent, '/ws', { host: 'evil.com' }), 403)
})

t.test('pages that the user allows', async (t) => {
  const origin = 'http://localhost:5173'
  const agent = await start(t, { allowedOrigins: [origin] })
  const preflight = await fetch(`${agent.url}/prompt`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST' },
  })
  t.equal(preflight.status, 200)
  t.equal(preflight.headers.get('access-control-allow-origin'), origin)
  t.match(preflight.headers.get('access-control-allow-headers'), /Content-Type/)
  const answer = await fetch(`${agent.url}/queue`, { headers: { origin } })
  t.equal(answer.headers.get('access-control-allow-origin'), origin)
  t.equal(answer.headers.get('access-control-allow-credentials'), 'true')
  t.equal(await handshake(agent, '/ws', { origin }), 101)
  const other = await fetch(`${agent.url}/queue`, { headers: { origin: 'http://localhost:5174' } })
  t.equal(other.status, 403)
  t.notOk(other.headers.has('access-control-allow-origin'))
})

t.test('a name that the user allows', async (t) => {
  const agent = await start(t, { allowedHosts: ['comfy.example.org'], token: false })
  const status = async (host: string) =>
    (await raw(agent, 'GET /queue HTTP/1.1', `Host: ${host}`)).split(' ', 2)[1]
  t.equal(await status('comfy.example.org'), '200')
  t.equal(await status('evil.example.org'), '403')
})

t.test('every answer keeps a browser careful', async (t) => {
  const agent = await start(t)
  for (const path of ['/queue', '/nowhere', '/view?filename=..', '/health', '/']) {
    const { headers } = await fetch(agent.url + path)
    t.match(
      headers.get('content-security-policy'),
      /default-src '(none|self)'.*frame-ancestors/,
      path,
    )
    t.equal(headers.get('x-content-type-options'), 'nosniff', path)
    t.equal(headers.get('referrer-policy'), 'no-referrer', path)
    t.equal(headers.get('x-frame-options'), 'SAMEORIGIN', path)
  }
})

const wide = { host: '0.0.0.0' }

t.test('this machine alone is not asked for a token', async (t) => {
  const agent = await start(t)
  t.equal(agent.token, undefined)
  t.equal((await ask(agent, 'GET', '/queue')).status, 200)
})

t.test('nobody is asked where the user says so', async (t) => {
  const agent = await start(t, { ...wide, token: false })
  t.equal((await ask(agent, 'GET', '/queue')).status, 200)
})

t.test('an agent that others reach asks everybody for its token', async (t) => {
  const agent = await start(t, wide)
  const token = agent.token!
  const status = async (path: string, headers: Record<string, string> = {}) =>
    (await fetch(agent.url + path, { headers, redirect: 'manual' })).status
  for (const path of [
    '/',
    '/queue',
    '/api/queue',
    '/v1/jobs/a',
    '/nowhere',
    '/api/health',
    '/Health',
  ])
    t.equal(await status(path), 401, path)
  t.equal(await status('/health'), 200)
  t.equal(await status('/queue', { authorization: `Bearer ${token}` }), 200)
  const basic = Buffer.from(`:${token}`).toString('base64')
  t.equal(await status('/queue', { authorization: `Basic ${basic}` }), 200)
  t.equal(await status('/queue', { authorization: 'Bearer wrong' }), 401)
  t.equal(await status('/queue', { authorization: `Bearer ${token.slice(1)}` }), 401)
  const refused = await ask(agent, 'POST', '/prompt', { prompt: {} })
  t.equal(refused.status, 401)
  t.match(refused.text, /comfymesh token/)
  const own = await ask(agent, 'GET', '/v1/jobs')
  t.equal(own.status, 401)
  t.match(JSON.parse(own.text), { error: { code: 'forbidden', message: /comfymesh token/ } })
  const preflight = await fetch(`${agent.url}/prompt`, { method: 'OPTIONS' })
  t.equal(preflight.status, 200, 'browsers ask first, without a token')
})

t.test('a WebSocket shows the token in its URL or as a header', async (t) => {
  const agent = await start(t, wide)
  t.equal(await handshake(agent, '/ws'), 401)
  t.equal(await handshake(agent, '/ws?token=wrong'), 401)
  t.equal(await handshake(agent, `/ws?clientId=a&token=${agent.token}`), 101)
  t.equal(await handshake(agent, '/ws', { authorization: `Bearer ${agent.token}` }), 101)
})

t.test('the link of the greeting leaves a cookie and no trace', async (t) => {
  const agent = await start(t, wide)
  const link = `${agent.url}/?token=${agent.token}`
  const opened = await fetch(link, { redirect: 'manual', headers: { accept: 'text/html,*/*' } })
  t.equal(opened.status, 303)
  const program = await fetch(`${agent.url}/queue?token=${agent.token}`, { redirect: 'manual' })
  t.equal(program.status, 200, 'a program gets its answer')
  t.equal(opened.headers.get('location'), '/')
  const setCookie = opened.headers.get('set-cookie')!
  t.match(setCookie, /HttpOnly; SameSite=Strict$/)
  const cookie = setCookie.split(';')[0]!
  t.equal((await ask(agent, 'GET', '/queue', undefined, { cookie })).status, 200)
  t.equal(await handshake(agent, '/ws', { cookie }), 101)
})

t.test('a rotated token locks out the old one', async (t) => {
  const agent = await start(t, wide)
  const { port } = new URL(agent.url)
  const status = async (token: string) =>
    (await ask(agent, 'GET', '/queue', undefined, { authorization: `Bearer ${token}` })).status
  t.equal(await status(agent.token!), 200)
  const token = rotateAccessToken(agent.dataDir)
  t.equal(await status(agent.token!), 401)
  t.equal(await status(token), 200)
  const stale = { cookie: `comfymesh-${port}=${agent.token}` }
  const answer = await fetch(`${agent.url}/queue`, { headers: stale })
  t.match(answer.headers.get('set-cookie'), /Max-Age=0/, 'a cookie of the old one is taken away')
})

t.test('whoever guesses tokens has to wait', async (t) => {
  const agent = await start(t, wide)
  const guess = (index: number) =>
    fetch(`${agent.url}/queue`, { headers: { authorization: `Bearer guess-${index}` } })
  const answers = await Promise.all(Array.from({ length: 60 }, (_, index) => guess(index)))
  const limited = answers.filter(({ status }) => status === 429)
  t.ok(limited.length >= 20, `${limited.length} of 60 were not even looked at`)
  t.ok(Number(limited[0]?.headers.get('retry-after')) >= 1)
  t.equal((await ask(agent, 'GET', '/health')).status, 200)
})

t.test('a flood is told to wait, a busy script is not', async (t) => {
  const agent = await start(t)
  const { port, host } = new URL(agent.url)
  /** Pipelined on one connection, so that the client is not what is slow. */
  const flood = async (count: number) => {
    const socket = connectTcp(Number(port), '127.0.0.1')
    const one = `GET /prompt HTTP/1.1\r\nHost: ${host}\r\n\r\n`
    socket.end(one.repeat(count - 1) + one.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
    const answers = await text(socket)
    return (status: number) => answers.split(`HTTP/1.1 ${status} `).length - 1
  }
  const busy = await flood(1000)
  t.equal(busy(200), 1000)
  const wild = await flood(9000)
  t.ok(wild(429) > 0, `${wild(429)} of 9000 were sent away`)
  t.equal(wild(200) + wild(429), 9000)
})
