/** A script that takes its pictures from the WebSocket, as ComfyUI's own example for SaveImageWebsocket does. */
import { once } from 'node:events'
import t from 'tap'
import { WebSocket } from 'ws'
import { testBuiltAgent } from '../built-agent.ts'
import { decodePixels, textToImage } from '../e2e/prompts.ts'
import { ask, finished } from '../test-agent.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)

const NODE = 'save_image_websocket_node'

/** What the node hands out: everything binary while it executes, without the 8 bytes of its header. */
async function picturesOf(url: string, prompt: object): Promise<Buffer[]> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?clientId=script`)
  await once(socket, 'open')
  const pictures: Buffer[] = []
  let executing: string | null = ''
  const ended = new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary && executing === NODE) pictures.push(data.subarray(8))
      if (isBinary) return
      const message = JSON.parse(String(data))
      if (message.type !== 'executing') return
      executing = message.data.node
      if (executing === null) resolve()
    })
  })
  await ask({ url }, 'POST', '/prompt', { prompt, client_id: 'script' })
  await ended
  socket.close()
  return pictures
}

t.test('pictures come over the WebSocket, each time, and leave no file', async (t) => {
  const agent = await testBuiltAgent(t)
  const prompt = textToImage()
  const saved = await ask(agent, 'POST', '/prompt', { prompt })
  const entry = await finished(agent, String(saved.body.prompt_id))
  const [image] = (entry as { outputs: { 9: { images: Record<string, string>[] } } }).outputs[9]
    .images
  const file = await fetch(`${agent.url}/view?${new URLSearchParams(image)}`)
  const pixels = await decodePixels(Buffer.from(await file.arrayBuffer()))

  const { 9: _save, ...rest } = prompt
  const sending = {
    ...rest,
    batch: { class_type: 'RepeatImageBatch', inputs: { image: ['8', 0], amount: 3 } },
    [NODE]: { class_type: 'SaveImageWebsocket', inputs: { images: ['batch', 0] } },
  }
  for (const time of ['first', 'again']) {
    const pictures = await picturesOf(agent.url, sending)
    t.equal(pictures.length, 3, time)
    for (const picture of pictures)
      t.ok((await decodePixels(picture)) === pixels, 'the same pixels')
  }
})
