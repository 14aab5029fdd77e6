/** The user's files as a frontend saves, lists, opens, moves and deletes them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, startTestAgent } from '../../test-agent.ts'

async function setUp(t: Parameters<typeof startTestAgent>[0]) {
  const agent = await startTestAgent(t, createFakeExecutor())
  const root = join(agent.dataDir, 'user', 'default')
  const call = async (method: string, path: string, body?: string) => {
    const answer = await ask(agent, method, path, body, { 'content-type': 'text/plain' })
    return [answer.status, answer.text] as const
  }
  return { agent, root, call }
}

t.test('a workflow is saved, opened, moved and deleted', async (t) => {
  const { root, call } = await setUp(t)
  const path = '/api/userdata/workflows%2Fa%20b.json'
  t.strictSame(await call('GET', path), [404, ''])
  t.strictSame(await call('POST', path, '{"a":1}'), [200, '"workflows/a b.json"'])
  t.equal(readFileSync(join(root, 'workflows', 'a b.json'), 'utf8'), '{"a":1}')
  t.strictSame(await call('POST', `${path}?overwrite=false`, 'x'), [409, 'File already exists'])
  t.strictSame(await call('GET', path), [200, '{"a":1}'])
  t.strictSame(await call('POST', path, '{"a":2}'), [200, '"workflows/a b.json"'])

  const [status, info] = await call('POST', `${path}?full_info=TRUE`, '{"a":3}')
  t.equal(status, 200)
  t.match(JSON.parse(info), { path: 'workflows/a b.json', size: 7, modified: Number })
  t.ok(Number.isInteger(JSON.parse(info).created), 'milliseconds')

  t.strictSame(await call('POST', `${path}/move/workflows%2Fsub%2Fc.json`), [
    200,
    '"workflows/sub/c.json"',
  ])
  t.strictSame(await call('POST', `${path}/move/x.json`), [404, ''])
  writeFileSync(join(root, 'd.json'), 'd')
  const onto = '/userdata/d.json/move/workflows%2Fsub%2Fc.json'
  t.equal((await call('POST', `${onto}?overwrite=false`))[0], 409)
  t.equal(readFileSync(join(root, 'd.json'), 'utf8'), 'd', 'it is still there')
  t.equal((await call('POST', onto))[0], 200)
  t.strictSame(await call('DELETE', '/userdata/workflows%2Fsub%2Fc.json'), [204, ''])
  t.equal((await call('DELETE', '/userdata/workflows%2Fsub%2Fc.json'))[0], 404)
  t.equal((await call('DELETE', '/userdata/workflows'))[0], 404, 'a folder is no file')
  t.strictSame(readdirSync(join(root, 'workflows', 'sub')), [])
})

t.test('a user of many requests at once gets whole files', async (t) => {
  const { agent, root, call } = await setUp(t)
  const contents = Array.from({ length: 20 }, (_, index) => String(index).repeat(50_000))
  await Promise.all(contents.map((content) => call('POST', '/userdata/a.json', content)))
  t.ok(contents.includes(readFileSync(join(root, 'a.json'), 'utf8')))
  const once = contents.map((content) => call('POST', '/userdata/b.json?overwrite=false', content))
  const statuses = (await Promise.all(once)).map(([status]) => status)
  t.equal(statuses.filter((status) => status === 200).length, 1)
  t.equal((await ask(agent, 'GET', '/v2/userdata')).text.includes('.part'), false)
})

t.test('lists', async (t) => {
  const { agent, root, call } = await setUp(t)
  t.strictSame(await call('GET', '/userdata'), [400, 'Directory not provided'])
  t.strictSame(await call('GET', '/userdata?dir=workflows'), [404, 'Directory not found'])
  t.strictSame(await call('GET', '/userdata?dir=..'), [403, 'Invalid directory'])
  mkdirSync(join(root, 'workflows', 'sub'), { recursive: true })
  writeFileSync(join(root, 'workflows', 'a.json'), '1')
  writeFileSync(join(root, 'workflows', '.hidden'), '1')
  writeFileSync(join(root, 'workflows', 'sub', 'b.json'), '22')
  const list = async (query: string) => JSON.parse((await call('GET', `/userdata?${query}`))[1])
  t.strictSame(await list('dir=workflows'), ['a.json'])
  t.strictSame((await list('dir=.&recurse=true')).sort(), [
    'workflows/a.json',
    'workflows/sub/b.json',
  ])
  t.strictSame(await list('dir=workflows&split=true'), [['a.json', 'a.json']])
  t.strictSame(await list('dir=workflows%2Fsub&split=true&recurse=true'), [['b.json', 'b.json']])
  t.match(await list('dir=workflows&recurse=true&full_info=true&split=true'), [
    { path: 'a.json', size: 1 },
    { path: 'sub/b.json', size: 2 },
  ])
  t.strictSame(await list('dir=workflows%2Fa.json'), [])
  const { body: tree } = await ask(agent, 'GET', '/v2/userdata?path=workflows')
  t.match(tree, [
    { name: 'sub', path: 'workflows/sub', type: 'directory' },
    { name: '.hidden', path: 'workflows/.hidden', type: 'file' },
    { name: 'a.json', path: 'workflows/a.json', type: 'file', size: 1, modified: Number },
    { name: 'b.json', path: 'workflows/sub/b.json', type: 'file', size: 2 },
  ])
  t.strictSame(await call('GET', '/v2/userdata?path=nope'), [404, 'Requested path not found'])
  t.strictSame(await call('GET', '/v2/userdata?path=..%2F..'), [400, 'Invalid path requested'])
  t.equal((await call('GET', '/v2/userdata?path=workflows%2Fa.json'))[0], 400)
})

t.test('no name leaves the folder', async (t) => {
  const { agent, call } = await setUp(t)
  writeFileSync(join(agent.dataDir, 'user', 'secret'), 'secret')
  const outside = [
    '..%2Fsecret',
    '%2e%2e%2fsecret',
    '%252e%252e%252fsecret',
    '..%5Csecret',
    'a%2F..%2F..%2Fsecret',
    '%2Fetc%2Fpasswd',
    'C%3A%5Cx',
    'C:x',
    'a%00b',
    '...',
  ]
  for (const name of outside) {
    t.equal((await call('GET', `/userdata/${name}`))[0], 403, name)
    t.equal((await call('POST', `/userdata/${name}`, 'x'))[0], 403, name)
    t.equal((await call('DELETE', `/userdata/${name}`))[0], 403, name)
    t.equal((await call('POST', `/userdata/a/move/${name}`))[0], 403, name)
    t.equal((await call('POST', `/userdata/${name}/move/a`))[0], 403, name)
  }
  t.equal(readFileSync(join(agent.dataDir, 'user', 'secret'), 'utf8'), 'secret')
  t.strictSame(await call('POST', '/userdata/100%2525.json', 'x'), [200, '"100%.json"'])
  t.equal((await call('POST', `/userdata/${'x'.repeat(300)}`, 'x'))[0], 400, 'too long a name')
  t.equal((await call('POST', '/userdata/.', 'x'))[0], 400, 'the folder itself')
  t.equal((await call('POST', '/userdata/100%2525.json%2Fx', 'x'))[0], 400, 'below a file')
})

t.test('nothing that a user wrote runs in a browser, save user.css', async (t) => {
  const { agent, call } = await setUp(t)
  for (const name of ['page.html', 'x.svg', 'x.js', 'x.css', 'x.xml', 'x'])
    await call('POST', `/userdata/${name}`, '<script/>')
  await call('POST', '/userdata/user.css', 'a{}')
  const headers = async (name: string) => (await fetch(`${agent.url}/userdata/${name}`)).headers
  for (const name of ['page.html', 'x.svg', 'x.js', 'x.css', 'x.xml', 'x']) {
    const given = await headers(name)
    t.equal(given.get('content-type'), 'application/octet-stream', name)
    t.equal(given.get('content-disposition'), 'attachment', name)
    t.equal(given.get('x-content-type-options'), 'nosniff', name)
  }
  const style = await headers('user.css')
  t.equal(style.get('content-type'), 'text/css')
  t.equal(style.get('content-disposition'), 'inline')
})

t.test('users', async (t) => {
  const { agent, call } = await setUp(t)
  t.strictSame(await call('GET', '/users'), [200, '{"storage":"server","migrated":true}'])
  const [status, id] = await call('POST', '/users', '{"username":" Jo Müller "}')
  t.equal(status, 200)
  t.match(JSON.parse(id), /^Jo-M-ller_[0-9a-f-]{36}$/)
  const refused = async (username: unknown) =>
    (await call('POST', '/api/users', JSON.stringify({ username })))[1]
  t.equal(await refused('Jo Müller'), '{"error":"Duplicate username."}')
  t.equal(await refused('default'), '{"error":"Duplicate username."}')
  t.equal(await refused(' '), '{"error":"username not provided"}')
  t.equal(await refused('__system'), '{"error":"System User prefix not allowed"}')
  t.equal((await call('POST', '/users', '{}'))[0], 500)
  t.ok(existsSync(join(agent.dataDir, 'user', 'users.json')))
})
