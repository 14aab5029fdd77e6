/** Which agent a command means, with servers that say what agents say of themselves. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { neededAgent, runningAgent, seekAgent } from '../../src/cli/agent-access.ts'
import type { RawSettings } from '../../src/cli/setting-values.ts'
import { loadSettings } from '../../src/cli/settings.ts'
import { rotateAccessToken } from '../../src/store/access-token.ts'
import { leaveServingRecord } from '../../src/store/serving-record.ts'

/** Something that answers as an agent does. @returns its port. */
async function serve(t: Test, instance: string): Promise<string> {
  const server = createServer((_, response) => {
    response.end(JSON.stringify({ version: '1.2.3', instance }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return String((server.address() as AddressInfo).port)
}

/** A port that nobody listens on. */
async function freePort(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return String(port)
}

const at = (port: string) => `http://127.0.0.1:${port}`

/** The usual address is that of the settings file, so that the test knows who is there. */
const settingsOf = (dataDir: string, flags: RawSettings = {}) =>
  loadSettings({ flags, environment: {}, defaultDataDir: dataDir })

t.test('the agent that has the data folder, wherever it serves', async (t) => {
  const [port, usual] = [await serve(t, 'ours'), await serve(t, 'other')]
  const dataDir = t.testdir({ 'comfymesh.yaml': `port: ${usual}` })
  const token = rotateAccessToken(dataDir)
  leaveServingRecord(dataDir, { url: at(port), instance: 'ours' })
  const expected = { url: at(port), token }
  t.strictSame(await runningAgent(settingsOf(dataDir)), expected)
  t.strictSame(await runningAgent(settingsOf('/nowhere', { dataDir })), expected)
})

t.test('an address that is named counts, whatever the data folder says', async (t) => {
  const [port, other] = [await serve(t, 'ours'), await serve(t, 'other')]
  const dataDir = t.testdir()
  leaveServingRecord(dataDir, { url: at(port), instance: 'ours' })
  t.match(await runningAgent(settingsOf(dataDir, { port: other })), { url: at(other) })
  const free = await freePort()
  await t.rejects(neededAgent(settingsOf(dataDir, { port: free })), {
    message: new RegExp(`No agent is running at ${at(free)}\\..*comfymesh start`),
  })
})

t.test('a data folder that is named and has no agent is not taken for another one', async (t) => {
  const usual = await serve(t, 'other')
  const dataDir = t.testdir({ 'comfymesh.yaml': `port: ${usual}` })
  const named = settingsOf('/nowhere', { dataDir })
  t.equal(await runningAgent(named), undefined)
  await t.rejects(neededAgent(named), {
    message: `No agent is running with the data folder ${dataDir}. Start it with \`comfymesh start --data-dir ${dataDir}\`.`,
  })
  t.match(
    await runningAgent(settingsOf(dataDir)),
    { url: at(usual) },
    'where none is named, whoever has the usual address is asked',
  )
})

t.test('an agent that was killed leaves a record that fits nobody', async (t) => {
  const [gone, usual] = [await freePort(), await freePort()]
  const dataDir = t.testdir({ 'comfymesh.yaml': `port: ${usual}` })
  leaveServingRecord(dataDir, { url: at(gone), instance: 'ours' })
  for (const settings of [settingsOf(dataDir), settingsOf('/nowhere', { dataDir })]) {
    t.match(await seekAgent(settings), {
      agent: undefined,
      url: at(gone),
      why: new RegExp(`does not answer at ${at(gone)} any more: it was killed, or it hangs`),
    })
  }
  const taken = await serve(t, 'other')
  leaveServingRecord(dataDir, { url: at(taken), instance: 'ours' })
  t.match(await seekAgent(settingsOf('/nowhere', { dataDir })), {
    agent: undefined,
    why: new RegExp(`was killed, and another one is running at ${at(taken)} now`),
  })
})

t.test('a record does not hide whoever has the usual address', async (t) => {
  const usual = await serve(t, 'service')
  const dataDir = t.testdir({ 'comfymesh.yaml': `port: ${usual}` })
  leaveServingRecord(dataDir, { url: at(await freePort()), instance: 'ours' })
  t.match(await runningAgent(settingsOf(dataDir)), { url: at(usual) })
  t.equal(await runningAgent(settingsOf('/nowhere', { dataDir })), undefined)
})

t.test('no data folder at all', async (t) => {
  const dataDir = join(t.testdir(), 'new')
  const port = await freePort()
  const sought = await seekAgent(settingsOf('/nowhere', { dataDir, port }))
  t.match(sought, { agent: undefined, url: at(port) })
})
