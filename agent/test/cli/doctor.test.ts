import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { checkFrontend, checkPort } from '../../src/cli/doctor/frontend-and-port.ts'
import { checkSettings } from '../../src/cli/doctor/settings-sources.ts'
import { findingLines } from '../../src/cli/doctor.ts'
import { loadSettings } from '../../src/cli/settings.ts'
import { plainTerminal } from './terminals.ts'

const root = t.testdir({
  data: {},
  page: { 'index.html': '' },
  models: {
    checkpoints: {},
  },
})

const settingsWith = (flags = {}) =>
  loadSettings({ flags, environment: {}, defaultDataDir: join(root, 'data') })

t.test('a frontend is looked for where the settings say', async (t) => {
  t.strictSame(await checkFrontend(settingsWith()), [])
  const page = join(root, 'page')
  t.match(await checkFrontend(settingsWith({ frontend: page })), [{ state: 'ok', message: page }])
  const wrong = await checkFrontend(settingsWith({ frontend: join(root, 'models') }))
  t.match(wrong, [{ state: 'problem', message: /models holds no frontend/ }])
})

t.test('the port', async (t) => {
  const server = createServer((socket) => socket.destroy())
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
  const settings = settingsWith({ port: String(port) })
  t.match(await checkPort(settings), [{ state: 'problem', message: /taken by another program/ }])
  await new Promise((resolve) => server.close(resolve))
  t.match(await checkPort(settings), [{ state: 'ok', message: `${port} is free` }])
})

t.test('variables that are no settings', async (t) => {
  const findings = await checkSettings(settingsWith(), {
    COMFYMESH_PORT: '1',
    COMFYMESH_TREADS: '2',
    HOME: '/',
  })
  t.match(findings, [
    { state: 'ok', message: /no comfymesh.yaml in .*, COMFYMESH_PORT$/ },
    { state: 'note', message: /COMFYMESH_TREADS/, advice: /COMFYMESH_THREADS/ },
  ])
})

t.test('findings are wrapped beside their label', async (t) => {
  const message = 'word '.repeat(30).trim()
  const lines = findingLines(
    { check: 'Models', state: 'note', message, advice: 'Do it.' },
    plainTerminal,
  )
  t.match(lines[0], /^! Models {8}word/)
  t.ok(lines.every((line) => line.length <= 100))
  t.match(lines.at(-1), /^ {16}→ Do it\.$/)
})
