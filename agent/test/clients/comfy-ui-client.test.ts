/**
 * The package comfy-ui-client, unchanged, against the built agent. Where it fails against
 * ComfyUI too, it is held to fail the same way here.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ComfyUIClient } from 'comfy-ui-client'
import sharp from 'sharp'
import t, { type Test } from 'tap'
import { CHECKPOINT, textToImage } from '../e2e/prompts.ts'
import { sharedAgent } from '../shared-agent.ts'
import { finished } from '../test-agent.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)
const idleAgent = sharedAgent(t)

async function connected(t: Test, clientId = 'comfy-ui-client') {
  const agent = await idleAgent()
  const client = new ComfyUIClient(new URL(agent.url).host, clientId)
  await client.connect()
  t.teardown(() => client.disconnect())
  return { agent, client }
}

t.test('a prompt becomes files', async (t) => {
  const { agent, client } = await connected(t)
  const named = (options = {}) => {
    const prompt = textToImage(options)
    prompt['9']!.inputs.filename_prefix = 'files'
    return prompt
  }
  const images = await client.getImages(named())
  t.strictSame(Object.keys(images), ['9'])
  const [made] = images['9']!
  t.match(made, { image: { filename: 'files_00001_.png', subfolder: '', type: 'output' } })

  const folder = t.testdir()
  await client.saveImages(images, folder)
  const saved = readFileSync(join(folder, made!.image.filename))
  t.match(await sharp(saved).metadata(), { format: 'png', width: 64, height: 64 })

  // The package begins to listen when it has the answer to its prompt: the cache may be faster.
  const { prompt_id: again } = await client.queuePrompt(named())
  await finished(agent, again)
  t.match(
    await client.getHistory(again),
    { [again]: { outputs: { 9: { images: [made!.image] } } } },
    'a repeated prompt answers from the cache',
  )
  const other = await client.getImages(named({ seed: 2 }))
  t.equal(other['9']![0]!.image.filename, 'files_00002_.png')
})

t.test('uploads, and a picture made from one', async (t) => {
  const { client } = await connected(t)
  const create = { width: 64, height: 64, channels: 3, background: '#204060' } as const
  const picture = await sharp({ create }).png().toBuffer()
  const name = { name: 'blue.png', subfolder: '', type: 'input' }
  t.strictSame(await client.uploadImage(picture, 'blue.png'), name)
  t.strictSame(await client.uploadImage(picture, 'blue.png', true), name)
  const blob = await client.getImage('blue.png', '', 'input')
  t.ok(picture.equals(Buffer.from(await blob.arrayBuffer())))
  const images = await client.getImages({
    1: { class_type: 'LoadImage', inputs: { image: 'blue.png' } },
    2: { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
    3: { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'inverted' } },
  })
  const inverted = Buffer.from(await images['3']![0]!.blob.arrayBuffer())
  t.strictSame([...(await sharp(inverted).raw().toBuffer()).subarray(0, 3)], [0xdf, 0xbf, 0x9f])
  // It names the field originalRef, which ComfyUI does not know either.
  await t.rejects(client.uploadMask(picture, 'mask.png', { filename: 'blue.png' }))
})

t.test('what there is', async (t) => {
  const { client } = await connected(t)
  t.strictSame(await client.getEmbeddings(), [])
  t.type(await client.getExtensions(), Array)
  t.match(await client.getSystemStats(), { devices: [{ name: String, vram_total: Number }] })
  t.strictSame(await client.getPrompt(), { exec_info: { queue_remaining: 0 } })
  t.strictSame(await client.getQueue(), { queue_running: [], queue_pending: [] })
  const all = await client.getObjectInfo()
  const { KSampler } = await client.getObjectInfo('KSampler')
  t.strictSame(KSampler, all.KSampler)
  t.match(KSampler, { input: { required: { seed: ['INT', {}] } }, output: ['LATENT'] })
  t.type(await client.viewMetadata('checkpoints', CHECKPOINT), Object)
})

t.test('the queue, the history and interrupting', async (t) => {
  const { agent, client } = await connected(t)
  const long = await client.queuePrompt(textToImage({ steps: 10_000 }))
  const waiting = await client.queuePrompt(textToImage({ seed: 2 }))
  t.strictSame(long.node_errors, {})
  t.equal(waiting.number, long.number + 1)
  t.strictSame(await client.getPrompt(), { exec_info: { queue_remaining: 2 } })
  const { queue_pending } = await client.getQueue()
  t.equal((queue_pending.at(-1) as unknown[])[1], waiting.prompt_id)
  // It reads JSON where ComfyUI answers nothing.
  await t.rejects(client.interrupt(), SyntaxError)
  await finished(agent, waiting.prompt_id)
  const history = await client.getHistory()
  t.strictSame(Object.keys(history), [long.prompt_id, waiting.prompt_id])
  t.match(history[long.prompt_id], { status: { status_str: 'error' }, outputs: {} })
  t.match(await client.getHistory(waiting.prompt_id), {
    [waiting.prompt_id]: { outputs: { 9: {} } },
  })
  await t.rejects(client.editHistory({ delete: [long.prompt_id] }), SyntaxError)
  t.strictSame(await client.getHistory(long.prompt_id), {})
})

t.test('a prompt that cannot run', async (t) => {
  const { client } = await connected(t)
  const prompt = textToImage({ checkpoint: 'none.safetensors' })
  await t.rejects(client.queuePrompt(prompt), /value_not_in_list.*none\.safetensors/)
  await t.rejects(
    client.queuePrompt({ 1: { class_type: 'None', inputs: {} } }),
    /missing_node_type/,
  )
  await t.rejects(client.queuePrompt({}), /prompt_no_outputs/)
})

t.test('a client that connects again goes on', async (t) => {
  const { client } = await connected(t)
  await client.disconnect()
  await client.connect()
  await client.connect()
  t.ok((await client.getImages(textToImage()))['9'])
})
