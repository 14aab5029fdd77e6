import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { providerFindings } from '../../src/cli/doctor/computing.ts'
import { checkFolders, checkFrontend, checkPort } from '../../src/cli/doctor/folders-and-port.ts'
import { checkModels } from '../../src/cli/doctor/model-files.ts'
import { checkSettings } from '../../src/cli/doctor/settings-sources.ts'
import { findingLines } from '../../src/cli/doctor.ts'
import { loadSettings } from '../../src/cli/settings.ts'
import { plainTerminal } from './terminals.ts'

const root = t.testdir({
  data: {},
  page: { 'index.html': '' },
  models: {
    checkpoints: { 'cut.safetensors': 'nonsense', 'old.ckpt': '' },
    loras: {},
  },
  file: 'not a folder',
})

const settingsWith = (flags = {}) =>
  loadSettings({ flags, environment: {}, defaultDataDir: join(root, 'data') })

const report = { fusedAttention: false, halfPrecision: false }
const cpu = { ...report, name: 'cpu', ok: true } as const
const nvidia = { vendor: 'NVIDIA', model: 'GeForce RTX 4090', vram: 24576 }

t.test('an NVIDIA card without CUDA libraries', async (t) => {
  const reason = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library'
  const [cuda, computing] = providerFindings(
    [{ ...report, name: 'cuda', ok: false, reason }, cpu],
    [nvidia],
  )
  t.match(cuda, { state: 'note', advice: 'Run `npm run cuda`.', message: /NVIDIA GPU found/ })
  t.match(computing, { state: 'ok', message: 'cpu computes correctly and is used' })
})

t.test('a provider that fails for another reason says it', async (t) => {
  const failed = { ...report, name: 'cuda', ok: false, reason: 'its numbers are wrong' } as const
  t.match(providerFindings([failed, cpu], [nvidia])[0], {
    state: 'note',
    message: /its numbers are wrong/,
  })
})

t.test('providers without hardware are no problem', async (t) => {
  const failed = { ...report, name: 'cuda', ok: false, reason: 'x' } as const
  const findings = providerFindings([failed, { ...failed, name: 'webgpu' }, cpu], [])
  t.ok(findings.every(({ state }) => state === 'ok'))
  t.match(findings[1], { message: /no hardware for cuda, webgpu/ })
})

t.test('the first provider that works is used', async (t) => {
  const cuda = { ...report, name: 'cuda', ok: true } as const
  const findings = providerFindings([cuda, cpu], [nvidia])
  t.match(findings[0], { message: 'cuda computes correctly and is used' })
  t.match(findings[1], { message: 'cpu computes correctly' })
})

t.test('nothing computes', async (t) => {
  const failed = { ...report, name: 'cpu', ok: false, reason: 'broken' } as const
  t.ok(providerFindings([failed], []).some(({ state }) => state === 'problem'))
  t.ok(providerFindings([], []).some(({ state }) => state === 'problem'))
})

t.test('models that cannot be used are named with the reason', async (t) => {
  const findings = await checkModels(settingsWith({ models: [join(root, 'models')] }))
  t.match(findings[0], { state: 'ok', message: /checkpoints, 0 loras, 0 vae, 0 embeddings/ })
  t.match(
    findings.find(({ message }) => message.startsWith('checkpoints/cut.safetensors')),
    {
      state: 'note',
    },
  )
  t.match(findings.at(-1), { state: 'note', message: /pickles.*old.ckpt/ })
})

t.test('a frontend is looked for where the settings say', async (t) => {
  t.strictSame(await checkFrontend(settingsWith()), [])
  const page = join(root, 'page')
  t.match(await checkFrontend(settingsWith({ frontend: page })), [{ state: 'ok', message: page }])
  const wrong = await checkFrontend(settingsWith({ frontend: join(root, 'models') }))
  t.match(wrong, [{ state: 'problem', message: /models holds no frontend/ }])
})

t.test('folders that cannot be written to', async (t) => {
  const good = await checkFolders(settingsWith())
  t.ok(good.every(({ state }) => state === 'ok'))
  const bad = await checkFolders(settingsWith({ outputDir: join(root, 'file', 'output') }))
  t.match(bad[1], { state: 'problem', advice: /--output-dir/ })
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
