/**
 * The package @saintno/comfyui-sdk, unchanged, against the built agent. Its CallWrapper begins to
 * listen only when it has the answer to its prompt, and may wait for ever where the cache answers
 * faster than that, as with ComfyUI; so no prompt runs twice here.
 */
import { CallWrapper, ComfyApi, ComfyPool, PromptBuilder } from '@saintno/comfyui-sdk'
import sharp from 'sharp'
import t, { type Test } from 'tap'
import { CHECKPOINT, type TestPrompt, textToImage } from '../e2e/prompts.ts'
import { sharedAgent } from '../shared-agent.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)
const idleAgent = sharedAgent(t)

/** Seconds of work, so that there are previews: there are none when the result is about to come. */
const MANY_STEPS = 600

async function connected(t: Test) {
  const agent = await idleAgent()
  const api = new ComfyApi(agent.url)
  t.teardown(() => api.destroy())
  const opened = new Promise<void>((resolve) => api.on('connected', () => resolve()))
  api.init()
  await opened
  await api.waitForReady()
  return { agent, api }
}

interface MadeImages {
  readonly images: { filename: string; subfolder: string; type: string }[]
}

/** A prompt with the titles that the package's types ask for. */
function titled(prompt: TestPrompt) {
  const nodes = Object.entries(prompt).map(([id, node]) => {
    return [id, { ...node, _meta: { title: node.class_type } }] as const
  })
  return Object.fromEntries(nodes)
}

/** The default prompt with two knobs and one result, as the package's users write them. */
function builder(options: Parameters<typeof textToImage>[0] = {}) {
  return new PromptBuilder(titled(textToImage(options)), ['seed', 'steps'], ['images'])
    .setRawInputNode('seed', '3.inputs.seed')
    .setRawInputNode('steps', '3.inputs.steps')
    .setRawOutputNode('images', '9')
}

function run(api: ComfyApi, prompt: ReturnType<typeof builder>) {
  const failures: Error[] = []
  const wrapper = new CallWrapper(api, prompt).onFailed((error) => failures.push(error))
  const result = wrapper.run() as Promise<{ images: MadeImages } | false | undefined>
  return { wrapper, result, failures }
}

t.test('a prompt with its events', async (t) => {
  const { api } = await connected(t)
  const told: string[] = []
  const steps: number[] = []
  const result = await new CallWrapper(api, builder().input('seed', 5).input('steps', MANY_STEPS))
    .onPending(() => told.push('pending'))
    .onStart(() => told.push('start'))
    .onPreview((blob) => told.push(`preview ${blob.size > 0}`))
    .onProgress(({ value }) => steps.push(value))
    .onOutput((key) => told.push(`output ${key}`))
    .onFinished(() => told.push('finished'))
    .onFailed((error) => t.error(error))
    .run()
  t.equal(steps.at(-1), MANY_STEPS)
  t.strictSame([...new Set(told)].sort(), [
    'finished',
    'output images',
    'pending',
    'preview true',
    'start',
  ])
  const { images } = (result as unknown as { images: MadeImages }).images
  const picture = await (await api.getImage(images[0]!)).arrayBuffer()
  t.match(await sharp(picture).metadata(), { format: 'png', width: 64 })
  t.equal((await fetch(api.getPathImage(images[0]!))).status, 200)
})

t.test('several at once on one connection, and in a pool', async (t) => {
  const { agent, api } = await connected(t)
  const runs = [1, 2, 3].map((seed) => run(api, builder({ seed })))
  const names = (await Promise.all(runs.map(({ result }) => result))).map(
    (result) => (result as { images: MadeImages }).images.images[0]!.filename,
  )
  t.equal(new Set(names).size, 3)
  t.strictSame(
    runs.flatMap(({ failures }) => failures),
    [],
  )

  const pool = new ComfyPool([new ComfyApi(agent.url, 'pooled')])
  t.teardown(() => {
    // Otherwise it looks for another job ten times a second, for ever.
    Object.assign(pool, { jobQueue: [{}], getAvailableClient: () => new Promise(() => {}) })
    pool.destroy()
  })
  const results = await pool.batch(
    [4, 5].map((seed) => (client: ComfyApi) => run(client, builder({ seed })).result),
  )
  t.equal(results.filter(Boolean).length, 2)
})

t.test('interrupting, and a prompt that cannot run or fails', async (t) => {
  const { api } = await connected(t)
  const long = run(api, builder({ steps: 10_000 }))
  await new Promise<void>((resolve) => api.on('progress', () => resolve()))
  await api.interrupt()
  t.equal(await long.result, false)
  t.match(long.failures, [{ message: 'The execution was interrupted!' }])

  const refused = run(api, builder({ checkpoint: 'none.safetensors' }))
  t.equal(await refused.result, false)
  t.match(refused.failures[0], {
    message: 'Failed to queue prompt',
    cause: { error: { type: 'prompt_outputs_failed_validation' } },
  })

  // It fails at its end: the package misses what happens while it asks for the history.
  const prompt = textToImage({ steps: MANY_STEPS })
  prompt['9']!.inputs.filename_prefix = '../outside'
  const failing = new PromptBuilder(titled(prompt), [], ['images']).setRawOutputNode('images', '9')
  const failures: Error[] = []
  const wrapper = new CallWrapper(api, failing).onFailed((error) => failures.push(error))
  t.equal(await wrapper.run(), false)
  t.match(failures, [{ cause: { node_id: '9', node_type: 'SaveImage' } }])
})

t.test('a node is left out', async (t) => {
  const { api } = await connected(t)
  const prompt = new PromptBuilder(
    titled({
      '1': { class_type: 'EmptyImage', inputs: { width: 8, height: 8, batch_size: 1, color: 255 } },
      '2': { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
      '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'plain' } },
    }),
    [],
    ['images'],
  ).setRawOutputNode('images', '3')
  const result = await new CallWrapper(api, prompt.bypass('2')).run()
  const { images } = (result as unknown as { images: MadeImages }).images
  const picture = await (await api.getImage(images[0]!)).arrayBuffer()
  const pixels = await sharp(picture).raw().toBuffer()
  t.strictSame([...pixels.subarray(0, 3)], [0, 0, 255])
})

t.test('uploads and masks', async (t) => {
  const { api } = await connected(t)
  const create = { width: 8, height: 8, channels: 4, background: '#204060' } as const
  const picture = await sharp({ create }).png().toBuffer()
  const uploaded = await api.uploadImage(picture, 'blue.png', { subfolder: 'mine' })
  t.match(uploaded, { info: { filename: 'blue.png', subfolder: 'mine', type: 'input' } })
  const half = { ...create, background: { r: 0, g: 0, b: 0, alpha: 0.5 } }
  const mask = await sharp({ create: half }).png().toBuffer()
  const masked = await api.uploadMask(mask, (uploaded as Exclude<typeof uploaded, false>).info)
  t.match(masked, { info: { type: 'input' } })
  const response = await fetch((masked as { url: string }).url)
  const pixels = await sharp(await response.arrayBuffer())
    .raw()
    .toBuffer()
  t.strictSame([...pixels.subarray(0, 4)], [0x20, 0x40, 0x60, 0x80])
})

t.test('what there is', async (t) => {
  const { api } = await connected(t)
  t.match(await api.ping(), { status: true })
  t.match(await api.pollStatus(), { exec_info: { queue_remaining: 0 } })
  t.match(await api.getSystemStats(), { system: { os: String }, devices: [{ name: String }] })
  t.strictSame(await api.getCheckpoints(), [CHECKPOINT])
  t.strictSame(await api.getLoras(), [])
  t.match(await api.getSamplerInfo(), { sampler: [Array], scheduler: [Array] })
  t.match(await api.getNodeDefs('KSampler'), { KSampler: { output: ['LATENT'] } })
  t.equal(await api.getNodeDefs('Nobody'), null)
  t.type(await api.getExtensions(), Array)
  t.strictSame(await api.getEmbeddings(), [])
  t.match(await api.getFeatures(), { max_upload_size: Number })
  t.ok((await api.getModelTypes()).includes('loras'))
  t.strictSame(await api.getModels('checkpoints'), [CHECKPOINT])
  t.ok((await api.getModelFolders()).some(({ name }) => name === 'checkpoints'))
  t.match(await api.getModelFiles('checkpoints'), [{ name: CHECKPOINT }])
  t.type(await api.getViewMetadata('checkpoints', CHECKPOINT), Object)
  t.type(await api.getWorkflowTemplates(), Object)
  t.match(await api.getTerminalLogs(), { entries: Array, size: { cols: Number } })
  t.equal(await api.freeMemory(true, true), true)
})

t.test('users, settings and files of a user', async (t) => {
  const { api } = await connected(t)
  t.match(await api.getUserConfig(), { storage: 'server' })
  await api.storeSettings({ 'Comfy.A': 1 })
  await api.storeSetting('Comfy.B', ['two'])
  t.match(await api.getSettings(), { 'Comfy.A': 1, 'Comfy.B': ['two'] })
  t.strictSame(await api.getSetting('Comfy.B'), ['two'])
  await api.storeUserData('workflows/mine.json', { nodes: [] })
  t.strictSame(await api.listUserData('workflows', true), ['mine.json'])
  await api.moveUserData('workflows/mine.json', 'workflows/ours.json')
  t.strictSame(await (await api.getUserData('workflows/ours.json')).json(), { nodes: [] })
  await api.deleteUserData('workflows/ours.json')
  t.strictSame(await api.listUserData('workflows'), [])
  t.strictSame(await api.listUserData('none'), [])
})

t.test('the queue and the history', async (t) => {
  const { api } = await connected(t)
  const long = await api.queuePrompt(null, textToImage({ steps: 10_000 }))
  const next = await api.queuePrompt(null, textToImage({ seed: 2 }))
  const front = await api.queuePrompt(-1, textToImage({ seed: 3 }))
  t.ok(front.number < 0)
  t.equal(
    (await api.getQueue()).queue_pending.length + (await api.getQueue()).queue_running.length,
    3,
  )
  await api.manageQueue({ delete: [next.prompt_id] })
  const ended = new Promise<void>((resolve) =>
    api.on('execution_success', ({ detail }) => detail.prompt_id === front.prompt_id && resolve()),
  )
  await new Promise<void>((resolve) => api.on('progress', () => resolve()))
  await api.interrupt()
  await ended
  t.strictSame(Object.keys(await api.getHistories()), [long.prompt_id, front.prompt_id])
  t.match(await api.getHistory(front.prompt_id), { status: { completed: true } })
  await api.clearHistory({ clear: true })
  t.strictSame(await api.getHistories(), {})
})

t.test('a connection that breaks is made anew', async (t) => {
  const { api } = await connected(t)
  const told: string[] = []
  const reconnected = new Promise<void>((resolve) => api.on('reconnected', () => resolve()))
  api.on('disconnected', () => told.push('disconnected'))
  ;(api as unknown as { socket: { close(): void } }).socket.close()
  // It looks at its connection once more, and makes yet another if it was destroyed meanwhile.
  const settled = new Promise<void>((resolve) =>
    api.on('log', ({ detail }) => {
      // The package's types call it msg.
      if ('message' in detail && detail.message === 'Reconnection successful') resolve()
    }),
  )
  await reconnected
  t.strictSame(told, ['disconnected'])
  t.ok(await run(api, builder()).result)
  await settled
})
