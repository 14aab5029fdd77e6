import { createServer } from 'node:net'
import { join } from 'node:path'
import type { MeshPeers } from '@comfymesh/protocol/mesh'
import t from 'tap'
import { checkFrontend, checkPort } from '../../src/cli/doctor/frontend-and-port.ts'
import { checkMesh, memberFindings } from '../../src/cli/doctor/mesh.ts'
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

t.test('the mesh, before an agent runs', async (t) => {
  t.match(await checkMesh(settingsWith({ mesh: 'off' })), [{ state: 'ok', message: /works alone/ }])
  const server = createServer((socket) => socket.destroy())
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '0.0.0.0', () => resolve((server.address() as { port: number }).port))
  })
  t.teardown(() => server.close())
  const flags = { port: '1', meshPort: String(port), discovery: 'off' }
  t.match(await checkMesh(settingsWith(flags)), [
    { check: 'Mesh', state: 'ok', message: /^alone so far/ },
    { check: 'Mesh ports', state: 'problem', message: new RegExp(`^${port}\\b.* taken`) },
  ])
})

t.test('the mesh, as the agent knows it', async (t) => {
  const self = { peerId: 'a', name: 'desk', state: 'self' } as const
  const attic = { peerId: 'b', name: 'attic', state: 'connected' } as const
  const cellar = { peerId: 'c', name: 'cellar', state: 'away' } as const
  const findings = (...peers: MeshPeers['peers']) => memberFindings({ meshId: 'm', peers })
  t.match(findings(self), [{ state: 'ok', message: /^alone so far/ }])
  t.match(findings(self, attic), [{ state: 'ok', message: '1 of 1 other machine connected' }])
  t.match(findings(self, attic, cellar), [
    {
      state: 'note',
      message: '1 of 2 other machines connected; away: cellar',
      advice: /--peer/,
    },
  ])
  const problem = { code: 'identity_in_use', message: 'The data folder was copied.' } as never
  t.match(memberFindings({ meshId: 'm', peers: [self], problem }), [
    { state: 'problem', message: 'The data folder was copied.' },
  ])
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
