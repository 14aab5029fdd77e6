/**
 * Every spelling of a way out of a folder, tried on everything that takes a name: routes, and
 * inputs of nodes. Whatever is answered, no byte leaves and none arrives.
 */
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import type { AgentSettings } from '../../src/agent.ts'
import { createNativeExecutor } from '../../src/executors/native/native-executor.ts'
import { readEmbedding } from '../../src/executors/native/text/embeddings.ts'
import { containedPath, ModelFolders } from '../../src/models/folders.ts'
import { createFakeExecutor } from '../fake-executor.ts'
import { ask, finished, startTestAgent, testSettings } from '../test-agent.ts'

const SECRET = 'the secret beside the folder'

/** The last part of each is the name of a file one or more folders above. */
const climbs = ['..', '../..', '../../..', 'sub/../..', './..', 'sub/./../..', '..//', './/..']
const spellings: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => path.replaceAll('/', '\\'),
  (path) => path.replaceAll('..', '%2e%2e'),
  (path) => path.replaceAll('/', '%2f'),
  (path) => path.replaceAll('/', '%5c'),
  (path) => encodeURIComponent(path),
  (path) => encodeURIComponent(encodeURIComponent(path)),
  (path) => path.replaceAll('..', '%252e%252e').replaceAll('/', '%252f'),
  (path) => path.replaceAll('..', '%c0%ae%c0%ae'),
  (path) => path.replaceAll('..', '%u002e%u002e'),
  (path) => path.replaceAll('..', '．．'),
  (path) => path.replaceAll('/', '∕'),
  (path) => path.replaceAll('..', '.. '),
  (path) => path.replaceAll('..', '....'),
  (path) => path.replaceAll('../', '....//'),
  (path) => path.replaceAll('../', '..;/'),
  (path) => `${path}\0.png`,
  (path) => `${path}%00.png`,
  (path) => `/${path}`,
  (path) => `\\${path}`,
  (path) => `${path} [input]`,
  (path) => `${path}::$DATA`,
]

function escapes(dataDir: string, file = 'secret.txt'): string[] {
  const secret = join(dataDir, file)
  const climbing = climbs.flatMap((climb) => spellings.map((spell) => spell(`${climb}/${file}`)))
  const rooted = [secret, `//${secret}`, `file://${secret}`, `\\\\?\\${secret}`, `C:${secret}`]
  const odd = [
    '~/secret.txt',
    '$HOME/secret.txt',
    '\\\\server\\share\\secret.txt',
    'C:\\secret.txt',
  ]
  return [
    ...climbing,
    ...rooted,
    ...odd,
    '/etc/passwd',
    '/proc/self/environ',
    '..',
    '.',
    '',
    'a'.repeat(5000),
  ]
}

/** Sends a path as it is: `fetch` would tidy it up. */
async function get(url: string, path: string): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(url)
  const asked = request({ hostname, port, path, agent: false })
  return new Promise((resolve, reject) => {
    asked.on('error', reject)
    asked.on('response', async (response) => {
      resolve({ status: response.statusCode!, body: String(await buffer(response)) })
    })
    asked.end()
  })
}

async function start(t: Test) {
  const dataDir = t.testdir({ data: { 'secret.txt': SECRET }, 'secret.txt': SECRET })
  return startTestAgent(t, createFakeExecutor(), join(dataDir, 'data'))
}

/** Everything below the folders that clients may fill, and beside them. */
const filesBelow = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => !name.includes('.log'),
  )

t.test('no route hands out what lies outside', async (t) => {
  const agent = await start(t)
  const routes: readonly ((name: string) => string)[] = [
    (name) => `/view?filename=${name}`,
    (name) => `/view?filename=secret.txt&subfolder=${name.replace(/\/?secret\.txt$/, '')}`,
    (name) => `/view?filename=${name}&type=temp`,
    (name) => `/view?filename=x&type=${name}`,
    (name) => `/userdata/${name}`,
    (name) => `/userdata?dir=${name}`,
    (name) => `/v2/userdata?path=${name}`,
    (name) => `/internal/files/${name}`,
    (name) => `/models/${name}`,
    (name) => `/view_metadata/checkpoints?filename=${name}`,
    (name) => `/experiment/models/preview/checkpoints/0/${name}`,
    (name) => `/settings/${name}`,
    (name) => `/${name}`,
    (name) => `/api/${name}`,
  ]
  let asked = 0
  for (const name of escapes(agent.dataDir)) {
    // What no request line can hold is sent encoded only.
    const sendable = [encodeURIComponent(name), ...(/^[!-~]*$/.test(name) ? [name] : [])]
    const paths = sendable.flatMap((spelt) => routes.map((route) => route(spelt)))
    const answers = await Promise.all(paths.map((path) => get(agent.url, path)))
    for (const [index, { status, body }] of answers.entries()) {
      asked += 1
      const isKept =
        !body.includes(SECRET) && !body.includes('root:') && !body.includes('"secret.txt"')
      if (!isKept || status >= 500)
        t.fail(`${paths[index]} is answered with ${status}: ${body.slice(0, 80)}`)
    }
    // Far above any rate that a test should have to respect, so it waits like everybody.
    if (answers.some(({ status }) => status === 429))
      await new Promise((resolve) => setTimeout(resolve, 5000))
  }
  t.ok(asked > 2000, `${asked} requests`)
})

t.test('nothing is written outside', async (t) => {
  const agent = await start(t)
  const before = filesBelow(join(agent.dataDir, '..')).length
  for (const name of escapes(agent.dataDir)) {
    const upload = async (fields: { [field: string]: string }, filename: string) => {
      const form = new FormData()
      form.set('image', new File(['intruder'], filename))
      for (const [field, value] of Object.entries(fields)) form.set(field, value)
      return (await fetch(`${agent.url}/upload/image`, { method: 'POST', body: form })).status
    }
    const statuses = [
      await upload({ overwrite: 'true' }, name),
      await upload({ overwrite: 'true', subfolder: name }, 'a.png'),
      (await ask(agent, 'POST', `/userdata/${encodeURIComponent(name)}`, 'intruder')).status,
    ]
    for (const status of statuses) if (status >= 500) t.fail(`${JSON.stringify(name)}: ${status}`)
  }
  const written = filesBelow(join(agent.dataDir, '..'))
  const outside = written.filter(
    (name) => !/^data[\\/](input|user|output|temp|[0-9a-z-]+[\\/])/i.test(name),
  )
  t.ok(written.length > before, 'names that only look like ways out are names')
  for (const name of outside) t.match(name, /^(data|secret\.txt|data[\\/][\w.-]+)$/, name)
  t.notOk(existsSync(join(agent.dataDir, '..', 'a.png')))
})

t.test('no prefix of a saved picture leads out', async (t) => {
  const agent = await start(t)
  for (const climb of climbs) {
    const inputs = { x: ['1', 0], filename_prefix: `${climb}/../x`, count: 1, folder: 'output' }
    const prompt = {
      1: { class_type: 'TN_Int', inputs: { value: 1 } },
      2: { class_type: 'TN_Save', inputs },
    }
    const { body } = await ask(agent, 'POST', '/prompt', { prompt })
    const entry = await finished(agent, String(body.prompt_id))
    t.match(JSON.stringify(entry.status), /outside the output folder/, climb)
  }
})

/** An embedding of one vector, as it would lie in the folder of embeddings. */
function embeddingFile(): Buffer {
  const header = '{"emb_params":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}'
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(8)])
}

t.test('no name in a prompt opens a model outside the folders', async (t) => {
  const secret = 'secret.safetensors'
  const models = { checkpoints: {}, loras: {}, vae: {}, embeddings: { 'own.pt': '' } }
  const dataDir = t.testdir({ [secret]: embeddingFile(), models: { [secret]: '', ...models } })
  writeFileSync(join(dataDir, 'models', secret), embeddingFile())
  writeFileSync(join(dataDir, 'models', 'embeddings', 'own.safetensors'), embeddingFile())
  const of = (kind: string) => [join(dataDir, 'models', kind)]
  const settings = {
    ...testSettings(dataDir).folders,
    models: Object.fromEntries(Object.keys(models).map((kind) => [kind, of(kind)])),
  } as unknown as AgentSettings['folders']
  const executor = createNativeExecutor({ folders: settings, provider: 'cpu' })
  const agent = await startTestAgent(t, executor, dataDir, { folders: settings })
  const folders = new ModelFolders(settings)
  t.equal((await readEmbedding('own', folders))?.length, 1, 'one that is there')
  const shown = (images: string) => ({
    class_type: 'PreviewImage',
    inputs: { images: [images, 0] },
  })
  const decoded = (inputs: object) => ({ class_type: 'VAEDecode', inputs })
  const sampled = { class_type: 'KSampler', inputs: { model: ['1', 0] } }
  /** Each with what uses it, so that it is looked at. */
  const loaders: readonly [classType: string, input: string, users: object][] = [
    ['CheckpointLoaderSimple', 'ckpt_name', { 2: decoded({ vae: ['1', 2] }), 3: shown('2') }],
    ['VAELoader', 'vae_name', { 2: decoded({ vae: ['1', 0] }), 3: shown('2') }],
    [
      'LoraLoaderModelOnly',
      'lora_name',
      { 2: sampled, 3: decoded({ samples: ['2', 0] }), 4: shown('3') },
    ],
    ['LoadImage', 'image', { 2: shown('1') }],
  ]
  for (const name of escapes(dataDir, secret)) {
    const bare = name.replace(/\.safetensors$/, '')
    t.equal(await readEmbedding(name, folders), undefined, `embedding:${name}`)
    t.equal(await readEmbedding(bare, folders), undefined, `embedding:${bare}`)
    for (const [class_type, input, users] of loaders) {
      const prompt = { 1: { class_type, inputs: { [input]: name } }, ...users }
      const { status, text } = await ask(agent, 'POST', '/prompt', { prompt })
      const isRefused = status === 400 && /value_not_in_list|Invalid image file/.test(text)
      if (!isRefused) t.fail(`${class_type} of ${name}: ${status} ${text.slice(0, 200)}`)
    }
  }
})

t.test(
  'links that the owner made are followed, clients make none',
  { skip: process.platform === 'win32' },
  async (t) => {
    const agent = await start(t)
    mkdirSync(join(agent.dataDir, 'elsewhere'))
    writeFileSync(join(agent.dataDir, 'elsewhere', 'a.txt'), 'linked')
    symlinkSync(join(agent.dataDir, 'elsewhere'), join(agent.dataDir, 'output', 'link'))
    const answer = await get(agent.url, '/view?filename=a.txt&subfolder=link')
    t.equal(answer.body, 'linked')
    t.equal(containedPath(join(agent.dataDir, 'output'), 'link/../../secret.txt'), undefined)
  },
)
