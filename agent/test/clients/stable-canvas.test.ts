/** The package @stable-canvas/comfyui-client, unchanged, against the built agent. */
import {
  BasePipe,
  Client,
  plugins,
  Workflow,
  WorkflowExecutionError,
  WorkflowInterruptedError,
  type WorkflowOutput,
} from '@stable-canvas/comfyui-client'
import sharp from 'sharp'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { testBuiltAgent } from '../built-agent.ts'
import { CHECKPOINT, textToImage } from '../e2e/prompts.ts'
import { sharedAgent } from '../shared-agent.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)
const idleAgent = sharedAgent(t)

/** Enough for previews: there are none when the result is about to come. */
const MANY_STEPS = 600

async function connected(t: Test, clientId = 'stable-canvas') {
  const agent = await idleAgent()
  const client = new Client({ api_host: new URL(agent.url).host, clientId, WebSocket })
  t.teardown(() => client.close())
  await client.connect()
  return { agent, client }
}

/** ComfyUI's default prompt, built as the package builds them. */
function drawn({ seed = 1, steps = 2 } = {}): Workflow {
  const workflow = new Workflow()
  const cls = workflow.classes
  const [model, clip, vae] = cls.CheckpointLoaderSimple({ ckpt_name: CHECKPOINT }) as never[]
  const text = (words: string) => cls.CLIPTextEncode({ text: words, clip: clip! })[0]!
  const [samples] = cls.KSampler({
    seed,
    steps,
    cfg: 4.5,
    sampler_name: 'euler',
    scheduler: 'normal',
    denoise: 1,
    model: model!,
    positive: text('a red circle on a blue background'),
    negative: text(''),
    latent_image: cls.EmptyLatentImage({ width: 64, height: 64, batch_size: 1 })[0]!,
  })
  const [images] = cls.VAEDecode({ samples: samples!, vae: vae! })
  cls.SaveImage({ filename_prefix: 'canvas', images: images! })
  return workflow
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('it was expected to fail')
    },
    (error: unknown) => error,
  )
}

t.test('a workflow is built, run and looked at', async (t) => {
  const { client } = await connected(t)
  const seen: number[] = []
  const previews: Blob[] = []
  client.on('b_preview', (blob) => previews.push(blob))
  const result = await drawn({ steps: MANY_STEPS }).invoke(client, {
    progress: ({ value, max }) => {
      t.equal(max, MANY_STEPS)
      seen.push(value)
    },
  })
  t.equal(seen.at(-1), MANY_STEPS)
  t.ok(previews.length > 0)
  t.match(previews[0]!.type, /^image\/(png|jpeg)$/)
  // The package takes previews for pictures too, from ComfyUI as from us.
  const picture = result.images.findLast(({ type }) => type === 'url')
  const response = await fetch(String(picture!.data))
  t.match(await sharp(await response.arrayBuffer()).metadata(), { width: 64, height: 64 })
})

t.test('several at once, and one again from the cache', async (t) => {
  const { client } = await connected(t)
  const url = async (result: Promise<WorkflowOutput>) =>
    String((await result).images.findLast(({ type }) => type === 'url')!.data)
  const run = (seed: number) => url(client.enqueue(textToImage({ seed })))
  t.equal(new Set(await Promise.all([1, 2, 3].map(run))).size, 3)
  const last = await run(4)
  // The package begins to listen when it has the answer to its prompt: the cache may be faster.
  t.equal(await url(client.enqueue_polling(textToImage({ seed: 4 }), { polling_ms: 20 })), last)
})

t.test('polling instead of events', async (t) => {
  const agent = await idleAgent()
  const client = new Client({ api_host: new URL(agent.url).host })
  t.teardown(() => client.close())
  t.equal(
    await client.connect({
      polling: { enabled: true, interval: 50 },
      websocket: { enabled: false },
    }),
    true,
  )
  const options = { polling_ms: 20 }
  t.equal((await client.runPrompt(textToImage(), options)).images.length, 1)
  t.equal((await client.enqueue_polling(textToImage({ seed: 2 }), options)).images.length, 1)
  t.equal((await drawn().invoke_polling(client, options)).images.length, 1)
})

t.test('its pipeline', async (t) => {
  const { client } = await connected(t)
  const { images } = await new BasePipe()
    .with(client)
    .model(CHECKPOINT)
    .prompt('a green square')
    .negative('')
    .size(64, 64)
    .steps(2)
    .cfg(4.5)
    .sampler('euler')
    .scheduler('normal')
    .seed(3)
    .save('pipe')
    .wait()
  t.match(await sharp(images.at(-1)!.data).metadata(), { format: 'png', width: 64 })
})

t.test('what there is', async (t) => {
  const { client } = await connected(t)
  t.type(await client.getExtensions(), Array)
  t.strictSame(await client.getEmbeddings(), [])
  t.match(await client.getSystemStats(), { system: { os: String }, devices: [{ type: String }] })
  t.ok((await client.getSamplers()).includes('dpmpp_2m'))
  t.ok((await client.getSchedulers()).includes('karras'))
  t.strictSame(await client.getSDModels(), [CHECKPOINT])
  t.strictSame(await client.getLoRAs(), [])
  for (const list of [
    client.getVAEs(),
    client.getCNetModels(),
    client.getUpscaleModels(),
    client.getHyperNetworks(),
  ])
    t.type(await list, Array)
  const folders = await client.getModelFolders()
  t.ok(folders.some(({ name }) => name === 'checkpoints'))
  t.match(await client.getModels('checkpoints'), [{ name: CHECKPOINT, pathIndex: Number }])
  t.type(await client.viewMetadata('checkpoints', CHECKPOINT), Object)
  t.match(await client.getNodeDefs(), { KSampler: { output: ['LATENT'] } })
})

t.test('users, settings and files of a user', async (t) => {
  const { client } = await connected(t)
  t.match(await client.getUserConfig(), { storage: 'server' })
  await client.storeSettings({ 'Comfy.A': 1, 'Comfy.B': 'two' })
  await client.storeSetting('Comfy.A', { deep: [true] })
  t.strictSame(await client.getSetting('Comfy.A'), { deep: [true] })
  t.match(await client.getSettings(), { 'Comfy.A': { deep: [true] }, 'Comfy.B': 'two' })
  await client.storeUserData('workflows/mine.json', { nodes: [] }, { stringify: true })
  t.strictSame(await (await client.getUserData('workflows/mine.json')).json(), { nodes: [] })
  await t.resolves(client.free({ unload_models: true, free_memory: true }))
})

t.test('the queue, the history and interrupting', async (t) => {
  const { client } = await connected(t)
  const long = drawn({ steps: 10_000 }).instance(client)
  await long.enqueue()
  const started = new Promise<void>((resolve) => long.once('progress', () => resolve()))
  const waiting = await client.queuePrompt(0, { prompt: textToImage({ seed: 7 }), workflow: {} })
  const front = await client.queuePrompt(-1, { prompt: textToImage({ seed: 8 }), workflow: {} })
  t.match(await client.getPromptStatus((waiting as { prompt_id: string }).prompt_id), {
    pending: true,
  })
  const { Running, Pending } = await client.getQueue()
  t.equal(Running.length + Pending.length, 3)
  const ended = long.wait()
  await started
  t.match(await long.query(), { running: true, done: false })
  await long.interrupt()
  t.ok((await rejection(ended)) instanceof WorkflowInterruptedError)
  for (const { prompt_id } of [waiting, front] as { prompt_id: string }[])
    await client.waitForPrompt(prompt_id, 20)
  const ids = (await client.getHistory()).History.map(({ prompt }) => prompt[1])
  t.strictSame(ids, [
    long.task_id,
    (front as { prompt_id: string }).prompt_id,
    (waiting as { prompt_id: string }).prompt_id,
  ])
  t.equal((await client.getHistory(1, { offset: 1 })).History.length, 1)
  await client.deleteItem('history', long.task_id)
  t.equal((await client.getHistory()).History.length, 2)
  await client.clearItems('history')
  await client.clearItems('queue')
  t.strictSame(await client.getItems('history'), { History: [] })
})

t.test('prompts that cannot run, and one that fails', async (t) => {
  const { agent, client } = await connected(t)
  const bad = await rejection(client.enqueue(textToImage({ checkpoint: 'none.safetensors' })))
  t.match(bad, { status: 400, json: { error: { type: 'prompt_outputs_failed_validation' } } })
  t.match(await rejection(client.enqueue({})), { json: { error: { type: 'prompt_no_outputs' } } })

  const form = new FormData()
  form.append('image', new Blob(['no picture']), 'broken.png')
  await fetch(`${agent.url}/upload/image`, { method: 'POST', body: form })
  const failing = client.enqueue({
    1: { class_type: 'LoadImage', inputs: { image: 'broken.png' } },
    2: { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
  })
  const error = await rejection(failing)
  t.ok(error instanceof WorkflowExecutionError)
  t.match(String((error as Error).message), /LoadImage|broken\.png/)
})

t.test('a connection that breaks is made anew', async (t) => {
  const { client } = await connected(t)
  const reconnected = new Promise<void>((resolve) => client.once('reconnected', () => resolve()))
  client.socket!.close()
  await reconnected
  t.ok((await drawn().invoke(client)).images.length > 0)
})

t.test('its plugin for a login sends the token of the agent in every URL', async (t) => {
  const token = 'a-token-of-many-letters'
  const agent = await testBuiltAgent(t, undefined, ['--token', token])
  const client = new Client({ api_host: new URL(agent.url).host, clientId: 'login', WebSocket })
  t.teardown(() => client.close())
  client.use(new plugins.LoginAuthPlugin({ token }))
  await client.connect()
  t.match(await client.getQueue(), { Running: [], Pending: [] })
  const { images } = await drawn().invoke(client)
  t.equal(images.length, 1)
})
