/** The log, the folders and their files, as ComfyUI's own frontend asks for them. */
import { utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonObject } from '@comfymesh/protocol/json'
import t from 'tap'
import { startAgent } from '../../../src/agent.ts'
import { createLog } from '../../../src/telemetry/log.ts'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, connect, startTestAgent, testSettings } from '../../test-agent.ts'

t.test('the log, so far and from now on', async (t) => {
  const log = createLog({ level: 'info', write: () => {} })
  const agent = await startAgent(testSettings(t.testdir()), { executor: createFakeExecutor(), log })
  t.teardown(() => agent.stop())
  log.info('hello')
  const { text } = await ask(agent, 'GET', '/internal/logs')
  t.match(JSON.parse(text), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} - hello\n/m)
  const raw = await ask(agent, 'GET', '/internal/logs/raw')
  t.match((raw.body.entries as JsonObject[]).at(-1), { t: /^\d{4}-/, m: 'hello\n' })
  t.match(raw.body.size, { cols: Number, rows: Number })
  t.equal((await ask(agent, 'GET', '/api/internal/logs')).status, 404, 'at the root only')

  const subscribe = (clientId: unknown, enabled: unknown) =>
    ask(agent, 'PATCH', '/internal/logs/subscribe', { clientId, enabled })
  const [one, other] = [await connect(t, agent, '?clientId=one'), await connect(t, agent)]
  t.equal((await subscribe('one', true)).status, 200)
  log.warn('careful')
  const { data } = await one.until(({ type }) => type === 'logs')
  t.match(data, { entries: [{ m: 'warn: careful\n' }], size: { cols: Number } })
  t.equal((await subscribe('one', false)).status, 200)
  log.warn('not told')
  await subscribe('one', true)
  log.warn('told')
  const told = ({ type, data }: { type: string; data: JsonObject }) =>
    type === 'logs' && JSON.stringify(data.entries).includes('told')
  t.match((await one.until(told)).data, { entries: [{ m: 'warn: told\n' }] })
  t.equal((await subscribe('later', true)).status, 200, 'of a client that is not there')
  const later = await connect(t, agent, '?clientId=later')
  log.warn('told to one')
  await one.until(({ data }) => JSON.stringify(data).includes('told to one'))
  await subscribe('later', true)
  log.warn('told to both')
  const both = await later.until(({ type }) => type === 'logs')
  t.match(both.data, { entries: [{ m: 'warn: told to both\n' }] }, 'is not kept')
  t.notOk(other.messages.some(({ type }) => type === 'logs'))
  for (const body of ['x', '{}', '{"clientId":"a"}'])
    t.equal((await ask(agent, 'PATCH', '/internal/logs/subscribe', body)).status, 500, body)
})

t.test('folders and files', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const { body: paths } = await ask(agent, 'GET', '/internal/folder_paths')
  t.strictSame(paths.checkpoints, [join(agent.dataDir, 'models', 'checkpoints')])
  for (const [index, name] of ['new.png', 'old.png'].entries()) {
    const file = join(agent.dataDir, 'output', name)
    writeFileSync(file, '')
    utimesSync(file, 1000 - index, 1000 - index)
  }
  t.equal(
    (await ask(agent, 'GET', '/internal/files/output')).text,
    '["new.png [output]","old.png [output]"]',
  )
  const unknown = await ask(agent, 'GET', '/internal/files/models')
  t.strictSame([unknown.status, unknown.text], [400, '{"error":"Invalid directory type"}'])
})
