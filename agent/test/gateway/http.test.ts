/** ComfyUI's HTTP API as its clients use it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import type { JsonObject } from '@comfymesh/protocol/json'
import t from 'tap'
import { readPngText } from '../../src/base/png-text.ts'
import { createFakeExecutor, testDefinitions, tinyPng } from '../fake-executor.ts'
import { ask, finished, startTestAgent } from '../test-agent.ts'

interface Vector {
  readonly name: string
  readonly request: { readonly text: string; readonly type?: string }
  readonly answer: { readonly status: number; readonly type: string; readonly body: JsonObject }
}

const good = {
  1: { class_type: 'TN_Int', inputs: { value: 1 } },
  3: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
}

t.test('answers to good, odd and broken prompts are those of ComfyUI', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const file = new URL('../goldens/validation.json', import.meta.url)
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vector[]
  t.equal(vectors.length, 37)
  const plain = (value: unknown) =>
    JSON.parse(JSON.stringify(value), (key, item) =>
      ['traceback', 'prompt_id', 'number'].includes(key) ? 0 : item,
    )
  for (const { name, request, answer } of vectors) {
    const type = request.type ?? 'application/json'
    const got = await ask(agent, 'POST', '/prompt', request.text, { 'content-type': type })
    t.equal(got.status, answer.status, `${name}: status`)
    t.equal(got.type, answer.type, `${name}: type`)
    if (typeof answer.body === 'string') t.equal(got.text, answer.body, name)
    else t.strictSame(plain(got.body), plain(answer.body), name)
  }
})

t.test('numbers and ids', async (t) => {
  const executor = createFakeExecutor()
  let open = () => {}
  executor.gate = new Promise((resolve) => {
    open = resolve
  })
  const agent = await startTestAgent(t, executor)
  t.teardown(() => open())
  const submit = (more: object) => ask(agent, 'POST', '/api/prompt', { prompt: good, ...more })
  t.equal((await submit({})).body.number, 0)
  t.equal((await ask(agent, 'POST', '/prompt', {})).status, 400, 'a refused one counts too')
  t.equal((await submit({ front: true })).body.number, -2)
  t.equal((await submit({ number: '-3.5' })).body.number, -3.5)
  t.equal((await submit({})).body.number, 3, 'a number of its own does not count')
  const prompt_id = '11111111-2222-4333-8444-555555555555'
  t.equal((await submit({ prompt_id })).body.prompt_id, prompt_id)
  const twice = await submit({ prompt_id })
  t.equal(twice.status, 400)
  t.equal((twice.body.error as JsonObject).type, 'invalid_prompt_id')
  t.equal((await submit({ number: 'x' })).status, 500)

  const { body } = await ask(agent, 'GET', '/queue')
  const numbers = (items: unknown) => (items as [number][]).map(([number]) => number)
  t.strictSame(numbers(body.queue_running), [0])
  t.strictSame(numbers(body.queue_pending), [-3.5, -2, 3, 4], 'in the order in which they will run')
  t.strictSame((await ask(agent, 'GET', '/prompt')).body, { exec_info: { queue_remaining: 5 } })

  await ask(agent, 'POST', '/queue', { delete: [prompt_id, 'unknown'] })
  t.strictSame((await ask(agent, 'GET', '/prompt')).body, { exec_info: { queue_remaining: 4 } })
  t.strictSame((await ask(agent, 'GET', `/history/${prompt_id}`)).body, {}, 'it never began')
  t.equal((await ask(agent, 'POST', '/queue', { clear: true })).status, 200)
  t.strictSame((await ask(agent, 'GET', '/prompt')).body, { exec_info: { queue_remaining: 1 } })
})

t.test('a 64-bit seed from the request to the history and into the picture', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const seed = '18446744073709551615'
  const text = `{"client_id":"c","extra_data":{"extra_pnginfo":{"workflow":{"id":"w","seed":${seed},"title":"Grüße"}},"api_key_comfy_org":"secret"},
    "prompt":{"1":{"class_type":"TN_Seed","inputs":{"seed":${seed}}},
              "2":{"class_type":"TN_Save","inputs":{"x":["1",0],"filename_prefix":"sub/seed","count":2,"folder":"output"}}}}`
  const { body } = await ask(agent, 'POST', '/prompt', text)
  const entry = await finished(agent, String(body.prompt_id))
  const raw = (await ask(agent, 'GET', `/history/${body.prompt_id}`)).text
  t.match(raw, `"seed":${seed}`)
  t.notMatch(raw, 'secret', 'credentials are not kept')
  t.strictSame((entry.outputs as JsonObject)[2], {
    images: [
      { filename: 'seed_00001_.png', subfolder: 'sub', type: 'output' },
      { filename: 'seed_00002_.png', subfolder: 'sub', type: 'output' },
    ],
  })
  t.strictSame(entry.meta, {
    2: { node_id: '2', display_node: '2', parent_node: null, real_node_id: '2' },
  })
  const [number, id, prompt, extra, outputs] = entry.prompt as [
    number,
    string,
    JsonObject,
    JsonObject,
    string[],
  ]
  t.equal(number, 0)
  t.equal(id, body.prompt_id)
  t.equal((prompt[1] as { inputs: JsonObject }).inputs.seed, BigInt(seed))
  t.strictSame(Object.keys(extra), ['extra_pnginfo', 'client_id', 'create_time'])
  t.strictSame(outputs, ['2'])

  const view = `/view?filename=seed_00001_.png&subfolder=sub&type=output`
  const picture = new Uint8Array(await (await fetch(agent.url + view)).arrayBuffer())
  const texts = readPngText(picture)
  t.strictSame(
    texts.map(([keyword]) => keyword),
    ['prompt', 'workflow'],
  )
  t.equal(
    texts[0]![1],
    `{"1": {"class_type": "TN_Seed", "inputs": {"seed": ${seed}}}, "2": {"class_type": "TN_Save", "inputs": {"x": ["1", 0], "filename_prefix": "sub/seed", "count": 2, "folder": "output"}}}`,
    "as Python's json.dumps writes it",
  )
  t.equal(texts[1]![1], `{"id": "w", "seed": ${seed}, "title": "Gr\\u00fc\\u00dfe"}`)
})

t.test('a chain of 2,000 nodes runs', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const prompt: { [id: string]: object } = {
    0: { class_type: 'TN_Int', inputs: { value: 1 } },
    out: { class_type: 'TN_Out', inputs: { x: ['1999', 0] } },
  }
  for (let id = 1; id < 2000; id++)
    prompt[id] = { class_type: 'TN_Add', inputs: { a: [String(id - 1), 0], b: 1 } }
  const { body } = await ask(agent, 'POST', '/prompt', { prompt })
  const entry = await finished(agent, String(body.prompt_id))
  t.strictSame(entry.outputs, { out: { text: ['2000'] } })
})

t.test('odd ways to ask', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const post = async (text: string) => ask(agent, 'POST', '/prompt', text)
  const json = JSON.stringify(good)
  t.match((await post('[]')).body.error, { type: 'no_prompt' })
  t.equal((await post(`{"prompt":${json},"extra_data":{"x":NaN}}`)).status, 200)
  const infinite = json.replace('"value":1', '"value":Infinity')
  t.match(
    (await post(`{"prompt":${infinite}}`)).text,
    'value, inf, cannot convert float infinity to integer',
  )
  for (const targets of ['null', '"3"', '["3",5,null]', '{"3":1}'])
    t.equal((await post(`{"prompt":${json},"partial_execution_targets":${targets}}`)).status, 200)
  t.equal((await post(`{"prompt":${json},"partial_execution_targets":5}`)).status, 500)
  t.equal((await post(`{"prompt":${json},"partial_execution_targets":[3]}`)).status, 400)
  for (const path of ['/queue', '/history'])
    t.equal((await ask(agent, 'POST', path, '[]')).status, 200, path)
  for (const query of ['max_items=x', 'offset=1.5'])
    t.equal((await ask(agent, 'GET', `/history?${query}`)).status, 500, query)
  const wrong = await ask(agent, 'PUT', '/queue')
  t.strictSame([wrong.status, wrong.text], [405, '405: Method Not Allowed'])
})

t.test('history', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const ids: string[] = []
  for (let value = 0; value < 4; value++) {
    const prompt = { ...good, 1: { class_type: 'TN_Int', inputs: { value } } }
    const { body } = await ask(agent, 'POST', '/prompt', { prompt })
    ids.push(String(body.prompt_id))
    await finished(agent, String(body.prompt_id))
  }
  const keys = async (query: string) =>
    Object.keys((await ask(agent, 'GET', `/history${query}`)).body)
  t.strictSame(await keys(''), ids, 'the oldest first')
  t.strictSame(await keys('?max_items=2'), ids.slice(2), 'the newest')
  t.strictSame(await keys('?max_items=2&offset=1'), ids.slice(1, 3))
  t.strictSame(await keys('?offset=3'), ids.slice(3))
  t.strictSame((await ask(agent, 'GET', '/history/unknown')).body, {})
  await ask(agent, 'POST', '/history', { delete: [ids[1]] })
  t.strictSame(await keys(''), [ids[0], ids[2], ids[3]])
  await ask(agent, 'POST', '/api/history', { clear: true })
  t.strictSame(await keys(''), [])

  const prompt_id = '11111111-2222-4333-8444-555555555555'
  for (let round = 0; round < 2; round++) {
    await ask(agent, 'POST', '/prompt', { prompt: good, prompt_id })
    await finished(agent, prompt_id)
  }
  t.strictSame(await keys(''), [prompt_id], 'a prompt run again under its id is there once')
})

t.test('what the server is', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const info = await ask(agent, 'GET', '/object_info')
  t.strictSame(Object.keys(info.body), Object.keys(testDefinitions))
  t.strictSame(Object.keys((await ask(agent, 'GET', '/object_info/TN_Int')).body), ['TN_Int'])
  t.strictSame((await ask(agent, 'GET', '/object_info/toString')).body, {})
  t.match((await ask(agent, 'GET', '/object_info/TN_Seed')).text, '"max":18446744073709551615')
  const { body: stats } = await ask(agent, 'GET', '/api/system_stats')
  t.equal((stats.system as JsonObject).os, process.platform)
  t.equal((stats.devices as JsonObject[]).length, 1)
  t.equal((await ask(agent, 'GET', '/features')).body.max_upload_size, 104857600)
  mkdirSync(join(agent.dataDir, 'models', 'checkpoints', 'sub'), { recursive: true })
  writeFileSync(join(agent.dataDir, 'models', 'checkpoints', 'sub', 'a.safetensors'), '')
  t.equal((await ask(agent, 'GET', '/models/checkpoints')).text, '["sub/a.safetensors"]')
  t.equal((await ask(agent, 'GET', '/models/unknown')).status, 404)
  t.equal((await ask(agent, 'GET', '/embeddings')).text, '[]')
  t.match((await ask(agent, 'GET', '/models')).text, '"checkpoints"')
  const { body: health } = await ask(agent, 'GET', '/health')
  t.match(health, { name: 'test', url: agent.url, ready: true })
  t.match((await ask(agent, 'GET', '/')).text, /comfymesh/)
  const missing = await ask(agent, 'GET', '/nothing')
  t.strictSame([missing.status, missing.text], [404, '404: Not Found'])
})

t.test('files to look at', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const output = join(agent.dataDir, 'output')
  mkdirSync(join(output, 'sub'), { recursive: true })
  writeFileSync(join(output, 'a.png'), tinyPng())
  writeFileSync(join(output, 'sub', 'b "ö".txt'), '0123456789')
  writeFileSync(join(output, 'page.html'), '<script>alert(1)</script>')
  writeFileSync(join(output, 'v.svg'), '<svg/>')
  writeFileSync(join(agent.dataDir, 'secret.png'), 'secret')
  const get = (query: string, headers = {}) => fetch(`${agent.url}/view?${query}`, { headers })

  const picture = await get('filename=a.png')
  t.equal(picture.headers.get('content-type'), 'image/png')
  t.equal(picture.headers.get('content-disposition'), 'filename="a.png"')
  t.equal(picture.headers.get('x-content-type-options'), 'nosniff')
  t.ok(Buffer.from(await picture.arrayBuffer()).equals(tinyPng()))
  const etag = picture.headers.get('etag')!
  for (const known of [etag, `W/${etag}, "other"`, '*'])
    t.equal((await get('filename=a.png', { 'if-none-match': known })).status, 304, known)
  const modified = picture.headers.get('last-modified')!
  t.equal((await get('filename=a.png', { 'if-modified-since': modified })).status, 304)
  const other = { 'if-modified-since': modified, 'if-none-match': '"other"' }
  t.equal((await get('filename=a.png', other)).status, 200, 'the tag counts more than the date')
  t.equal((await get('filename=a.png [output]&type=input')).status, 200, 'an annotated name')

  const named = `filename=${encodeURIComponent('b "ö".txt')}&subfolder=sub`
  t.equal(await (await get(named)).text(), '0123456789')
  const part = await get(named, { range: 'bytes=2-4' })
  t.strictSame([part.status, await part.text()], [206, '234'])
  t.equal(part.headers.get('content-range'), 'bytes 2-4/10')
  t.equal(await (await get(named, { range: 'bytes=-3' })).text(), '789')
  t.equal(await (await get(named, { range: 'bytes=7-' })).text(), '789')
  t.equal((await get(named, { range: 'bytes=10-' })).status, 416)

  for (const name of ['page.html', 'v.svg']) {
    const markup = await get(`filename=${name}`)
    t.equal(markup.headers.get('content-type'), 'application/octet-stream', name)
    t.match(markup.headers.get('content-disposition'), /^attachment/, name)
    t.equal(markup.headers.get('cache-control'), 'no-store', name)
  }
  const shown = await get('filename=v.svg', { 'sec-fetch-dest': 'image' })
  t.equal(shown.headers.get('content-type'), 'image/svg+xml')

  const webp = await get('filename=a.png&preview=webp;50')
  t.equal(webp.headers.get('content-type'), 'image/webp')
  t.equal(Buffer.from(await webp.arrayBuffer()).toString('latin1', 8, 12), 'WEBP')
  const jpeg = await get('filename=a.png&preview=jpeg')
  t.equal(jpeg.headers.get('content-type'), 'image/jpeg')
  t.equal((await get('filename=a.png&channel=a')).headers.get('content-type'), 'image/png')

  const outside: [string, number][] = [
    ['', 404],
    ['filename=', 400],
    ['filename=missing.png', 404],
    ['filename=../secret.png', 400],
    ['filename=..%2fsecret.png', 400],
    ['filename=..%5csecret.png', 400],
    ['filename=/etc/passwd', 400],
    ['filename=C:%5cwindows%5cwin.ini', 404],
    ['filename=a.png&type=models', 400],
    ['filename=secret.png&subfolder=..', 403],
    ['filename=secret.png&subfolder=sub/../..', 403],
    ['filename=secret.png&subfolder=..%5c', 403],
    ['filename=passwd&subfolder=/etc', 403],
    ['filename=a%00.png', 404],
    ['filename=sub', 404],
  ]
  for (const [query, status] of outside) t.equal((await get(query)).status, status, query)
})

t.test('uploads', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const upload = async (name: string, content: string, fields: Record<string, string> = {}) => {
    const form = new FormData()
    form.set('image', new File([content], name))
    for (const [key, value] of Object.entries(fields)) form.set(key, value)
    const response = await fetch(`${agent.url}/upload/image`, { method: 'POST', body: form })
    return response.status === 200 ? JSON.stringify(await response.json()) : response.status
  }
  const answer = (name: string, subfolder = '', type = 'input') =>
    JSON.stringify({ name, subfolder, type })
  t.equal(await upload('a.png', 'one'), answer('a.png'))
  t.equal(await upload('a.png', 'one'), answer('a.png'), 'the same bytes keep the name')
  t.equal(await upload('a.png', 'two'), answer('a (1).png'))
  t.equal(await upload('a.png', 'three', { overwrite: 'true' }), answer('a.png'))
  t.equal(readFileSync(join(agent.dataDir, 'input', 'a.png'), 'utf8'), 'three')
  t.equal(
    await upload('b.png', 'x', { subfolder: 'deep/er', type: 'temp' }),
    answer('b.png', 'deep/er', 'temp'),
  )
  t.ok(existsSync(join(agent.dataDir, 'temp', 'deep', 'er', 'b.png')))
  t.equal(await upload('../b.png', 'x'), 400)
  t.equal(await upload('b.png', 'x', { subfolder: '../..' }), 400)
  t.equal(await upload('b.png', 'x', { subfolder: '/tmp' }), 400)
  t.equal(await upload('b.png', 'x', { type: 'models' }), 400)
  t.equal((await ask(agent, 'POST', '/upload/image', 'x')).status, 400)
  t.strictSame(readdirSync(join(agent.dataDir, 'input')).sort(), ['a (1).png', 'a.png'])
})

t.test('pages of other sites are kept out', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const { port } = new URL(agent.url)
  const status = (headers: Record<string, string>, path = '/queue') =>
    new Promise((resolve, reject) => {
      const asked = request({
        host: '127.0.0.1',
        port,
        path,
        headers: { host: `127.0.0.1:${port}`, ...headers },
      })
      asked.on('response', (response) => resolve(response.resume().statusCode))
      asked.on('error', reject)
      asked.end()
    })
  t.equal(await status({}), 200)
  t.equal(await status({ host: `localhost:${port}` }), 200)
  t.equal(await status({ origin: `http://127.0.0.1:${port}` }), 200)
  t.equal(await status({ host: `evil.example:${port}` }), 403, 'rebinding')
  t.equal(await status({ host: `127.0.0.1.evil.example:${port}` }), 403)
  t.equal(await status({ origin: 'http://evil.example' }), 403)
  t.equal(await status({ origin: 'http://127.0.0.1:1' }), 403, 'another port of this machine')
  t.equal(await status({ origin: 'null' }), 403)
  t.equal(await status({ 'sec-fetch-site': 'cross-site' }), 403)
  t.equal(await status({ 'sec-fetch-site': 'same-origin' }), 200)
  const upgrade = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  }
  t.equal(
    await status({ ...upgrade, origin: 'http://evil.example' }, '/ws'),
    403,
    'the WebSocket too',
  )
  t.equal((await ask(agent, 'OPTIONS', '/prompt')).status, 200)
})
