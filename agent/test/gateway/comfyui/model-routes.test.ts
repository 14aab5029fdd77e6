/** Models as clients look for them: names, dates, descriptions, pictures. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonObject } from '@comfymesh/protocol/json'
import sharp from 'sharp'
import t from 'tap'
import { createFakeExecutor } from '../../fake-executor.ts'
import { writeSafetensors } from '../../models/model-files.ts'
import { ask, startTestAgent } from '../../test-agent.ts'

const picture = (colour: string) =>
  sharp({ create: { width: 4, height: 4, channels: 3, background: colour } })
    .png()
    .toBuffer()

async function setUp(t: Parameters<typeof startTestAgent>[0]) {
  const agent = await startTestAgent(t, createFakeExecutor())
  const folder = join(agent.dataDir, 'models', 'checkpoints')
  mkdirSync(join(folder, 'sub'), { recursive: true })
  return { agent, folder }
}

t.test('kinds and files', async (t) => {
  const { agent, folder } = await setUp(t)
  writeSafetensors(join(folder, 'sub', 'a.safetensors'), {})
  writeFileSync(join(folder, 'notes.txt'), '')
  const { body: kinds } = await ask(agent, 'GET', '/experiment/models')
  const [first] = kinds as unknown as JsonObject[]
  t.strictSame(first, {
    name: 'checkpoints',
    folders: [folder],
    extensions: ['.safetensors', '.sft'],
  })
  t.notMatch(JSON.stringify(kinds), '"configs"')
  const { body: files } = await ask(agent, 'GET', '/api/experiment/models/checkpoints')
  const [file] = files as unknown as JsonObject[]
  t.match(file, { name: 'sub/a.safetensors', pathIndex: 0, size: 10 })
  t.ok(Math.abs(Number(file!.modified) - Date.now() / 1000) < 600, 'seconds')
  for (const path of ['/models/nope', '/experiment/models/nope', '/experiment/models/constructor'])
    t.equal((await ask(agent, 'GET', path)).status, 404, path)
  t.equal((await ask(agent, 'GET', '/models/configs')).text, '[]')
})

t.test('descriptions', async (t) => {
  const { agent, folder } = await setUp(t)
  writeSafetensors(join(folder, 'a.safetensors'), {}, { 'modelspec.title': 'A' })
  writeSafetensors(join(folder, 'bare.safetensors'), {})
  writeFileSync(join(folder, 'broken.safetensors'), 'x')
  writeSafetensors(join(agent.dataDir, 'outside.safetensors'), {}, { secret: 'x' })
  const metadata = async (query: string, kind = 'checkpoints') => {
    const { status, body } = await ask(agent, 'GET', `/view_metadata/${kind}?${query}`)
    return status === 200 ? body : status
  }
  t.strictSame(await metadata('filename=a.safetensors'), { 'modelspec.title': 'A' })
  for (const name of ['bare', 'broken', 'none', '../../outside', '..%2F..%2Foutside', '/a'])
    t.equal(await metadata(`filename=${name}.safetensors`), 404, name)
  t.equal(await metadata('filename=a.ckpt'), 404)
  t.equal(await metadata(''), 404)
  t.equal(await metadata('filename=a.safetensors', 'nope'), 404)
})

t.test('pictures', async (t) => {
  const { agent, folder } = await setUp(t)
  const preview = async (path: string) => {
    const response = await fetch(`${agent.url}/experiment/models/preview/${path}`)
    if (response.status !== 200) return response.status
    t.equal(response.headers.get('content-type'), 'image/webp')
    const pixels = sharp(Buffer.from(await response.arrayBuffer()))
    return [...(await pixels.raw().toBuffer()).subarray(0, 3)].map((value) => value > 127)
  }
  const [red, blue] = [
    [true, false, false],
    [false, false, true],
  ]
  const cover = JSON.stringify([(await picture('#00f')).toString('base64')])
  writeSafetensors(join(folder, 'inside.safetensors'), {}, { ssmd_cover_images: cover })
  t.strictSame(await preview('checkpoints/0/inside.safetensors'), blue)
  writeFileSync(join(folder, 'inside.preview.png'), await picture('#f00'))
  t.strictSame(await preview('checkpoints/0/inside.safetensors'), red, 'beside before inside')
  writeFileSync(join(folder, 'sub', 'b.jpeg'), await picture('#f00'))
  t.strictSame(await preview('checkpoints/0/sub/b.safetensors'), red)
  t.strictSame(await preview('checkpoints/0/sub%2Fb.safetensors'), red)

  writeFileSync(join(folder, 'text.png'), 'no picture')
  writeSafetensors(join(folder, 'odd.safetensors'), {}, { ssmd_cover_images: '{"a":1' })
  writeFileSync(join(agent.dataDir, 'outside.png'), await picture('#f00'))
  for (const path of [
    'checkpoints/0/none.safetensors',
    'checkpoints/0/text.safetensors',
    'checkpoints/0/odd.safetensors',
    'checkpoints/9/inside.safetensors',
    'checkpoints/x/inside.safetensors',
    'nope/0/inside.safetensors',
    'checkpoints/0/..%2F..%2Foutside.safetensors',
    'checkpoints/0/%2Fetc%2Fpasswd',
  ])
    t.equal(await preview(path), 404, path)
})
