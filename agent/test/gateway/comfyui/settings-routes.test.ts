/** A frontend's settings. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, startTestAgent } from '../../test-agent.ts'

t.test('are merged, read one by one, and survive a restart', async (t) => {
  const dataDir = t.testdir()
  const agent = await startTestAgent(t, createFakeExecutor(), dataDir)
  const post = async (path: string, body: string) =>
    (await ask(agent, 'POST', path, body, { 'content-type': 'text/plain' })).status
  t.equal((await ask(agent, 'GET', '/settings')).text, '{}')
  t.equal((await ask(agent, 'GET', '/settings/Comfy.Locale')).text, 'null')
  t.equal(await post('/api/settings', '{"Comfy.Locale":"de","seed":18446744073709551615}'), 200)
  t.equal(await post('/settings/Comfy.Locale', '"fr"'), 200)
  t.equal(await post('/settings/__proto__', '{"x":1}'), 200)
  t.equal((await ask(agent, 'GET', '/api/settings/Comfy.Locale')).text, '"fr"')
  t.equal((await ask(agent, 'GET', '/settings/__proto__')).text, '{"x":1}')
  t.equal((await ask(agent, 'GET', '/settings/constructor')).text, 'null')
  for (const body of ['', 'x', '[]', '5', 'null']) t.equal(await post('/settings', body), 500, body)
  t.equal(await post('/settings/huge', JSON.stringify('x'.repeat(5_000_000))), 413)

  const ids = Array.from({ length: 30 }, (_, index) => `s${index}`)
  await Promise.all(ids.map((id) => post(`/settings/${id}`, 'true')))
  await agent.stop()
  const again = await startTestAgent(t, createFakeExecutor(), dataDir)
  const { body, text } = await ask(again, 'GET', '/settings')
  t.strictSame(
    ids.filter((id) => body[id] !== true),
    [],
    'none undid another',
  )
  t.match(text, '"seed":18446744073709551615')
})

t.test('of a broken file are kept aside', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const file = join(agent.dataDir, 'user', 'default', 'comfy.settings.json')
  writeFileSync(file, '{"a": tru')
  t.equal((await ask(agent, 'GET', '/settings')).text, '{}')
  t.notOk(existsSync(`${file}.broken`), 'as long as nobody writes')
  t.equal((await ask(agent, 'POST', '/settings', '{"b":1}')).status, 200)
  t.equal(readFileSync(`${file}.broken`, 'utf8'), '{"a": tru')
  t.strictSame(JSON.parse(readFileSync(file, 'utf8')), { b: 1 })
})
