/** The whole way, with the real executor and no model: upload, run, look, and again from the cache. */
import sharp from 'sharp'
import t from 'tap'
import { readPngText } from '../../src/base/png-text.ts'
import { createNativeExecutor } from '../../src/executors/native/native-executor.ts'
import { ask, connect, finished, isEnd, startTestAgent, testSettings } from '../test-agent.ts'

t.test('a picture in, a picture out', { timeout: 60_000 }, async (t) => {
  const dataDir = t.testdir()
  const { folders } = testSettings(dataDir)
  const agent = await startTestAgent(t, createNativeExecutor({ folders, provider: 'cpu' }), dataDir)
  const socket = await connect(t, agent, '?clientId=c')

  const missing = await submit('mine.png')
  t.equal(missing.status, 400)
  t.match(missing.text, 'Invalid image file: mine.png')

  const red = { r: 255, g: 0, b: 0 }
  const png = await sharp({ create: { width: 8, height: 4, channels: 3, background: red } })
    .png()
    .toBuffer()
  const form = new FormData()
  form.set('image', new File([new Uint8Array(png)], 'mine.png'))
  t.equal((await fetch(`${agent.url}/upload/image`, { method: 'POST', body: form })).status, 200)
  const info = await ask(agent, 'GET', '/object_info/LoadImage')
  t.match(info.text, '"mine.png"', 'the upload is in the dropdown')

  const first = await submit('mine.png')
  const entry = await finished(agent, String(first.body.prompt_id))
  t.match(entry.outputs, {
    3: { images: [{ filename: 'inverted_00001_.png', subfolder: '', type: 'output' }] },
    4: { images: [{ filename: /^ComfyUI_temp_[a-z]{5}_00001_\.png$/, type: 'temp' }] },
  })
  const saved = await fetch(`${agent.url}/view?filename=inverted_00001_.png`)
  const bytes = new Uint8Array(await saved.arrayBuffer())
  t.strictSame([...(await sharp(bytes).raw().toBuffer()).subarray(0, 3)], [0, 255, 255])
  t.match(Object.fromEntries(readPngText(bytes)), {
    prompt: /ImageInvert/,
    workflow: '{"id": "w"}',
  })
  const [preview] = (entry.outputs as { 4: { images: [{ filename: string }] } })[4].images
  t.equal((await fetch(`${agent.url}/view?filename=${preview.filename}&type=temp`)).status, 200)

  const again = String((await submit('mine.png')).body.prompt_id)
  await socket.until(isEnd(again))
  const cached = socket.messages.filter(({ type }) => type === 'execution_cached').at(-1)!
  t.strictSame((cached.data.nodes as string[]).sort(), ['1', '2', '3', '4'])
  t.strictSame((await finished(agent, again)).outputs, entry.outputs, 'the same files')

  async function submit(image: string) {
    const prompt = {
      1: { class_type: 'LoadImage', inputs: { image } },
      2: { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
      3: { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'inverted' } },
      4: { class_type: 'PreviewImage', inputs: { images: ['2', 0] } },
    }
    const extra_data = { extra_pnginfo: { workflow: { id: 'w' } } }
    return ask(agent, 'POST', '/prompt', { prompt, extra_data, client_id: 'c' })
  }
})
