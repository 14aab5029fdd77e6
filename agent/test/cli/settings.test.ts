import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { settingRows } from '../../src/cli/setting-rows.ts'
import {
  loadSettings,
  offerSettingsFile,
  type SettingSources,
  settingsTemplate,
} from '../../src/cli/settings.ts'
import { shippedModels } from '../../src/models/model-paths.ts'

const root = t.testdir({
  data: {},
  work: {},
  ComfyUI: {
    models: { checkpoints: {} },
    'extra_model_paths.yaml': 'more:\n  base_path: .\n  loras: more-loras\n',
  },
  plain: { loras: {} },
})
const at = (...parts: string[]) => join(root, ...parts)

const load = (sources: SettingSources = {}) =>
  loadSettings({
    environment: {},
    workingDir: at('work'),
    defaultDataDir: at('data'),
    ...sources,
  })

/** Settings with `text` as the settings file of the data folder. */
function withFile(text: string, sources: SettingSources = {}) {
  const dataDir = at('configured')
  mkdirSync(dataDir, { recursive: true })
  writeFileSync(join(dataDir, 'comfymesh.yaml'), text)
  return load({ defaultDataDir: dataDir, ...sources })
}

t.test('without any settings', async (t) => {
  const settings = load()
  t.match(settings, { dataDir: at('data'), host: '127.0.0.1', port: 8288, name: /./ })
  t.strictSame(settings.folders.models.checkpoints, [
    at('data', 'models', 'checkpoints'),
    join(shippedModels, 'checkpoints'),
  ])
  t.match(settings.folders, { input: at('data', 'input'), output: at('data', 'output') })
  t.notOk('threads' in settings || 'vramBytes' in settings || 'provider' in settings)
})

t.test('flags win over environment over file over defaults', async (t) => {
  const file = 'port: 1\nname: file\nthreads: 1\n'
  const environment = { COMFYMESH_PORT: '2', COMFYMESH_NAME: 'environment' }
  t.match(withFile(file), { port: 1, name: 'file', threads: 1 })
  t.match(withFile(file, { environment }), { port: 2, name: 'environment', threads: 1 })
  const flags = { port: '3' }
  t.match(withFile(file, { environment, flags }), { port: 3, name: 'environment', threads: 1 })
})

t.test('the data folder decides which file is read', async (t) => {
  withFile('port: 77')
  const environment = { COMFYMESH_DATA_DIR: at('configured') }
  t.match(load({ environment }), { port: 77, dataDir: at('configured') })
  t.equal(load({ environment, flags: { dataDir: at('data') } }).port, 8288)
})

t.test('an empty variable is no setting', async (t) => {
  t.equal(load({ environment: { COMFYMESH_PORT: '' } }).port, 8288)
})

t.test('values', async (t) => {
  const gigabyte = 2 ** 30
  const sizes = { '8GB': 8 * gigabyte, '6.5 GiB': 6.5 * gigabyte, '512m': 2 ** 29 }
  for (const [vram, vramBytes] of Object.entries(sizes)) {
    t.equal(load({ flags: { vram } }).vramBytes, vramBytes, vram)
  }
  t.match(load({ flags: { provider: 'CUDA', logLevel: 'warn', threads: '3' } }), {
    provider: 'cuda',
    logLevel: 'warn',
    threads: 3,
  })
  t.equal(load({ flags: { blobBudget: '20GB' } }).blobBudgetBytes, 20 * gigabyte)
})

t.test('bad values are refused in the words of where they stand', async (t) => {
  const refuses = (run: () => unknown, message: RegExp) =>
    t.throws(run, { code: 'invalid_settings', message })
  refuses(
    () => load({ flags: { port: '70000' } }),
    /^--port should be a port from 0 to 65535, not '70000'/,
  )
  refuses(
    () => load({ environment: { COMFYMESH_THREADS: 'many' } }),
    /^COMFYMESH_THREADS should be/,
  )
  refuses(() => load({ flags: { provider: 'gpu' } }), /one of cuda, directml, coreml, webgpu, cpu/)
  refuses(() => load({ flags: { vram: '8' } }), /such as 8GB/)
  refuses(() => load({ flags: { models: ['absent'] } }), /work.absent does not exist/)
  refuses(() => load({ flags: { extraModelPaths: ['absent.yaml'] } }), /does not exist/)
  refuses(() => withFile('prot: 1'), /there is no setting `prot`. There are: port, host/)
  refuses(() => withFile('port: eight'), /comfymesh.yaml: `port` should be a port/)
  refuses(() => withFile('data-dir: elsewhere'), /no setting `data-dir`/)
  refuses(() => withFile('port: [1, 2]'), /takes one value/)
  refuses(() => withFile('- a'), /should hold lines such as/)
  refuses(() => withFile('a: [b'), /not valid YAML/)
})

t.test('a whole ComfyUI brings its models, extra paths, input and output', async (t) => {
  const { folders } = load({ flags: { models: [at('plain'), at('ComfyUI')] } })
  t.strictSame(folders.models.loras, [
    at('plain', 'loras'),
    at('ComfyUI', 'models', 'loras'),
    at('data', 'models', 'loras'),
    at('ComfyUI', 'more-loras'),
    join(shippedModels, 'loras'),
  ])
  t.match(folders, { input: at('ComfyUI', 'input'), output: at('ComfyUI', 'output') })
  t.equal(folders.temp, at('data', 'temp'), "ComfyUI's own temp folder stays untouched")
  const chosen = load({ flags: { models: [at('ComfyUI')], outputDir: 'pictures' } })
  t.equal(chosen.folders.output, at('work', 'pictures'))
})

t.test('relative paths belong to where they are written', async (t) => {
  t.equal(load({ flags: { dataDir: '../data' } }).dataDir, at('data'))
  t.equal(withFile('input-dir: pictures').folders.input, at('configured', 'pictures'))
  const environment = { COMFYMESH_MODELS: ['../plain', '../ComfyUI'].join(delimiter) }
  t.strictSame(load({ environment }).folders.models.loras?.slice(0, 2), [
    at('plain', 'loras'),
    at('ComfyUI', 'models', 'loras'),
  ])
})

t.test('a new data folder gets a commented settings file that means nothing yet', async (t) => {
  const dataDir = at('fresh')
  offerSettingsFile(dataDir)
  const text = readFileSync(join(dataDir, 'comfymesh.yaml'), 'utf8')
  t.equal(text, settingsTemplate())
  t.equal(parse(text), null)
  t.equal(load({ defaultDataDir: dataDir }).port, 8288)
  writeFileSync(join(dataDir, 'comfymesh.yaml'), 'port: 9')
  offerSettingsFile(dataDir)
  t.equal(load({ defaultDataDir: dataDir }).port, 9, 'an existing one is kept')
})

t.test('every line of the template is a setting once its comment sign is gone', async (t) => {
  const lines = settingsTemplate().split('\n')
  const settings = parse(
    lines
      .filter((line) => /^#\S/.test(line))
      .map((line) => line.slice(1))
      .join('\n'),
  )
  const flags = Object.values(settingRows).map((row) => row.flag)
  t.strictSame(
    Object.keys(settings),
    flags.filter((flag) => flag !== 'data-dir'),
  )
})

t.test('whoever wants to hears of everything that is wrong, and has the rest', async (t) => {
  const problems: string[] = []
  const settings = withFile('colour: red\nname: desk\n', {
    flags: { vram: 'much', models: [at('absent'), at('plain')] },
    environment: { COMFYMESH_PORT: 'x' },
    refused: ({ message }) => problems.push(message),
  })
  t.match(problems, [/^COMFYMESH_PORT /, /^--vram /, /no setting `colour`/, /absent/])
  t.equal(problems.length, 4)
  t.match(settings, { name: 'desk', port: 8288 })
  t.ok(settings.folders.models.loras?.includes(at('plain', 'loras')))
})
