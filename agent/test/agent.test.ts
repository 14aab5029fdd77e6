/** The composition root: starts whole or not at all, and ends clean. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startAgent } from '../src/agent.ts'
import { createLog } from '../src/telemetry/log.ts'
import { createFakeExecutor } from './fake-executor.ts'
import { ask, startTestAgent, testSettings } from './test-agent.ts'

const log = createLog({ level: 'silent' })

t.test('a port that is taken: says so, and leaves nothing behind', async (t) => {
  const first = await startTestAgent(t, createFakeExecutor())
  const port = Number(new URL(first.url).port)
  const dataDir = join(first.dataDir, 'second')
  const executor = createFakeExecutor()
  let stopped = 0
  executor.stop = async () => {
    stopped++
  }
  const settings = { ...testSettings(dataDir), port }
  await t.rejects(startAgent(settings, { executor, log }), {
    code: 'invalid_settings',
    message: new RegExp(`Port ${port} is taken`),
  })
  t.equal(stopped, 1)
  const agent = await startAgent(testSettings(dataDir), { executor, log })
  t.equal((await ask(agent, 'GET', '/health')).status, 200, 'the data folder is free again')
  await agent.stop()
})

t.test('a data folder in use', async (t) => {
  const { dataDir } = await startTestAgent(t, createFakeExecutor())
  const second = startAgent(testSettings(dataDir), { executor: createFakeExecutor(), log })
  await t.rejects(second, { code: 'storage_failed', message: new RegExp(dataDir) })
})

t.test('an executor that does not start', async (t) => {
  const dataDir = t.testdir()
  const executor = createFakeExecutor()
  executor.start = async () => {
    throw new Error('no device')
  }
  await t.rejects(startAgent(testSettings(dataDir), { executor, log }), /no device/)
  await (await startAgent(testSettings(dataDir), { executor: createFakeExecutor(), log })).stop()
})

t.test('stopping twice, and the folders of an agent', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  for (const folder of ['input', 'output', 'temp']) t.ok(existsSync(join(agent.dataDir, folder)))
  await Promise.all([agent.stop(), agent.stop()])
  await t.rejects(ask(agent, 'GET', '/health'))
})

t.test('a folder that cannot be made is named', async (t) => {
  const dataDir = t.testdir({ file: '' })
  const settings = testSettings(dataDir)
  const folders = { ...settings.folders, output: join(dataDir, 'file', 'output') }
  const start = startAgent({ ...settings, folders }, { executor: createFakeExecutor(), log })
  await t.rejects(start, { code: 'storage_failed', message: new RegExp(folders.output) })
})
