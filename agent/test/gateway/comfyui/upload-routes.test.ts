/** Masks that a mask editor uploads; pictures are in ../http.test.ts. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import { insertPngText, readPngText } from '../../../src/base/png-text.ts'
import { createFakeExecutor } from '../../fake-executor.ts'
import { startTestAgent } from '../../test-agent.ts'

const rgba = (background: { r: number; g: number; b: number; alpha: number }, width = 4) =>
  sharp({ create: { width, height: 4, channels: 4, background } })
    .png()
    .toBuffer()

async function setUp(t: Parameters<typeof startTestAgent>[0]) {
  const agent = await startTestAgent(t, createFakeExecutor())
  const red = await rgba({ r: 255, g: 0, b: 0, alpha: 1 })
  const texts = [
    ['prompt', '{"1":{}}'],
    ['workflow', '{"nodes":[]}'],
  ] as const
  writeFileSync(join(agent.dataDir, 'output', 'a.png'), insertPngText(red, texts))
  const upload = async (mask: Uint8Array, reference: unknown, fields: object = {}) => {
    const form = new FormData()
    form.set('image', new File([new Uint8Array(mask)], 'mask.png'))
    const text = typeof reference === 'string' ? reference : JSON.stringify(reference)
    if (reference !== undefined) form.set('original_ref', text)
    for (const [name, value] of Object.entries(fields)) form.set(name, value)
    const response = await fetch(`${agent.url}/upload/mask`, { method: 'POST', body: form })
    return response.status === 200 ? response.json() : response.status
  }
  return { agent, texts, upload }
}

t.test('the alpha of the mask, the colours and texts of the original', async (t) => {
  const { agent, texts, upload } = await setUp(t)
  const mask = await rgba({ r: 0, g: 0, b: 255, alpha: 0.5 })
  const fields = { type: 'input', subfolder: 'clipspace' }
  const answer = { name: 'mask.png', subfolder: 'clipspace', type: 'input' }
  t.strictSame(await upload(mask, { filename: 'a.png', type: 'output' }, fields), answer)
  const saved = readFileSync(join(agent.dataDir, 'input', 'clipspace', 'mask.png'))
  t.strictSame(readPngText(saved), texts)
  const pixels = await sharp(saved).raw().toBuffer()
  t.strictSame([...pixels.subarray(0, 4)], [255, 0, 0, 128])
  t.strictSame(await upload(mask, { filename: 'a.png [output]' }, fields), answer, 'the same again')
  const other = await upload(mask, { filename: 'mask.png', type: 'input', subfolder: 'clipspace' })
  t.strictSame(other, { name: 'mask.png', subfolder: '', type: 'input' })
})

t.test('what cannot be laid together is refused, and nothing is written', async (t) => {
  const { agent, upload } = await setUp(t)
  writeFileSync(
    join(agent.dataDir, 'secret.png'),
    readFileSync(join(agent.dataDir, 'output', 'a.png')),
  )
  const mask = await rgba({ r: 0, g: 0, b: 0, alpha: 1 })
  const original = { filename: 'a.png', type: 'output' }
  t.equal(
    await upload(await rgba({ r: 0, g: 0, b: 0, alpha: 1 }, 5), original),
    400,
    'another size',
  )
  t.equal(await upload(Buffer.from('no picture'), original), 400)
  t.equal(await upload(mask, { ...original, filename: 'none.png' }), 404)
  t.equal(await upload(mask, { ...original, filename: '../secret.png' }), 400)
  t.equal(await upload(mask, { ...original, filename: 'secret.png', subfolder: '..' }), 403)
  t.equal(await upload(mask, { ...original, type: 'models' }), 400)
  t.equal(await upload(mask, {}), 404)
  for (const reference of [undefined, 'x', '[]', '5'])
    t.equal(await upload(mask, reference), 500, String(reference))
  t.notOk(existsSync(join(agent.dataDir, 'input', 'mask.png')))
})
