/** The static folder of a frontend at `/comfy/`, and the API beside its page. */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startAgent } from '../../src/agent.ts'
import { frontendFolder } from '../../src/gateway/frontend-folder.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createFakeExecutor } from '../fake-executor.ts'
import { ask, connect, finished, isEnd, testSettings } from '../test-agent.ts'

const files = {
  'index.html': '<!doctype html><title>ComfyUI</title>',
  '.secret': 'hidden',
  assets: {
    'index-1.js': 'export {}',
    'worker.mjs': 'export {}',
    'style.css': 'a{}',
    'logo.png': 'png',
    '.git': { config: 'hidden' },
  },
  extensions: { core: { 'groupNode.js': '' } },
}

async function startWithFrontend(t: Test) {
  const root = t.testdir({ data: {}, 'outside.txt': 'outside', static: files })
  const settings = { ...testSettings(join(root, 'data')), frontend: join(root, 'static') }
  const parts = { executor: createFakeExecutor(), log: createLog({ level: 'silent' }) }
  const agent = await startAgent(settings, parts)
  t.teardown(() => agent.stop())
  return agent
}

t.test('files, their types and how long they are kept', async (t) => {
  const agent = await startWithFrontend(t)
  const rows: readonly [path: string, type: RegExp, cache: string | null][] = [
    ['/comfy/', /^text\/html/, 'no-store, must-revalidate'],
    ['/comfy/?a=b', /^text\/html/, 'no-store, must-revalidate'],
    ['/comfy/assets/index-1.js', /javascript/, 'no-store'],
    ['/comfy/assets/worker.mjs', /^text\/javascript/, null],
    ['/comfy/assets/style.css', /^text\/css/, 'no-store'],
    ['/comfy/assets/logo.png', /^image\/png/, 'public, max-age=86400'],
  ]
  for (const [path, type, cache] of rows) {
    const response = await fetch(agent.url + path)
    t.equal(response.status, 200, path)
    t.match(response.headers.get('content-type'), type, `type of ${path}`)
    t.equal(response.headers.get('cache-control'), cache, `cache of ${path}`)
    await response.arrayBuffer()
  }
})

t.test(
  'the page is found without its slash, and nothing stands in for what is missing',
  async (t) => {
    const agent = await startWithFrontend(t)
    const redirect = await fetch(`${agent.url}/comfy?x=1`, { redirect: 'manual' })
    t.equal(redirect.status, 301)
    t.equal(redirect.headers.get('location'), '/comfy/?x=1')
    const unknown = await ask(agent, 'GET', '/comfy/workflows/none')
    t.match(unknown, { status: 404, text: '404: Not Found' })
    const picture = await fetch(`${agent.url}/comfy/none.png`)
    t.equal(picture.status, 404)
    t.equal(picture.headers.get('cache-control'), 'public, max-age=3600')
  },
)

t.test('nothing outside the folder and nothing hidden is served', async (t) => {
  const agent = await startWithFrontend(t)
  const hidden = [
    '/comfy/.secret',
    '/comfy/%2esecret',
    '/comfy/assets/.git/config',
    '/comfy/..%2foutside.txt',
    '/comfy/%2e%2e/outside.txt',
    '/comfy/assets/..%2f..%2foutside.txt',
    '/comfy/..%5coutside.txt',
    '/comfy//outside.txt',
    '/comfy/%00',
    '/comfy/assets',
    '/comfy/assets/',
  ]
  for (const path of hidden) {
    const { status, text } = await ask(agent, 'GET', path)
    t.ok(status >= 400 && status < 500, `${path}: ${status}`)
    t.notMatch(text, /hidden|outside$/, path)
  }
})

t.test('the API and the WebSocket are where the page looks for them', async (t) => {
  const agent = await startWithFrontend(t)
  const beside = { url: `${agent.url}/comfy` }
  const socket = await connect(t, beside, '?clientId=page')
  const prompt = {
    1: { class_type: 'TN_Int', inputs: { value: 4 } },
    2: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
  }
  const { body } = await ask(beside, 'POST', '/api/prompt', { prompt, client_id: 'page' })
  await socket.until(isEnd(String(body.prompt_id)))
  await finished(beside, String(body.prompt_id))
  const loaders = { UNETLoader: { output: ['MODEL'] }, GLIGENLoader: {} }
  t.match((await ask(beside, 'GET', '/api/object_info')).body, { TN_Int: {}, ...loaders })
  t.notOk((await ask(agent, 'GET', '/api/object_info')).body.UNETLoader, 'there for its page only')
  const unknown = { 1: { class_type: 'UNETLoader', inputs: { unet_name: 'x' } } }
  const refused = await ask(beside, 'POST', '/api/prompt', { prompt: unknown })
  t.match(refused, { status: 400, body: { error: { type: 'missing_node_type' } } })
  t.strictSame((await ask(beside, 'GET', '/api/settings')).body, {
    'Comfy.TutorialCompleted': true,
  })
  await connect(t, { url: `${agent.url}/comfy/api` })
})

t.test('without a frontend there is none', async (t) => {
  const root = t.testdir({ empty: {}, package: { static: files }, wheel: {} })
  const parts = { executor: createFakeExecutor(), log: createLog({ level: 'silent' }) }
  const agent = await startAgent(testSettings(join(root, 'data')), parts)
  t.teardown(() => agent.stop())
  t.equal((await ask(agent, 'GET', '/comfy/')).status, 404)
  t.equal((await ask(agent, 'GET', '/comfy/api/queue')).status, 404)

  const wrong = { ...testSettings(join(root, 'other')), frontend: join(root, 'empty') }
  await t.rejects(startAgent(wrong, parts), {
    code: 'invalid_settings',
    message: /empty holds no frontend.*comfyui-frontend-package/,
  })
  t.equal(frontendFolder(join(root, 'package')), join(root, 'package', 'static'))
  t.throws(() => frontendFolder(join(root, 'missing')), { code: 'invalid_settings' })
})

t.test('health tells where it is', async (t) => {
  const agent = await startWithFrontend(t)
  t.match(await ask(agent, 'GET', '/health'), { body: { frontend: '/comfy/' } })
})
