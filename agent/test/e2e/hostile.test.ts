/** A built agent under attack: it answers each with an error, in bounded memory, and serves others meanwhile. */
import { once } from 'node:events'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import sharp from 'sharp'
import t, { type Test } from 'tap'
import { type BuiltAgent, testBuiltAgent } from '../built-agent.ts'
import { linuxProcess } from '../processes.ts'
import { ask } from '../test-agent.ts'
import { pixelsOf, runJob, textToImage } from './prompts.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)

const MEGABYTE = 2 ** 20

/** What an agent at rest needs, one largest body four times, and what the collector leaves. */
const MAX_RESIDENT_BYTES = 1000 * MEGABYTE

function checkMemory(t: Test, { pid }: BuiltAgent, after: string): void {
  if (process.platform !== 'linux') return
  const bytes = linuxProcess(pid)?.residentBytes ?? Number.POSITIVE_INFINITY
  t.ok(bytes < MAX_RESIDENT_BYTES, `${Math.round(bytes / MEGABYTE)} MB after ${after}`)
}

const post = async (agent: BuiltAgent, path: string, body: Buffer, type = 'application/json') => {
  const init = { method: 'POST', body: new Uint8Array(body), headers: { 'content-type': type } }
  return (await fetch(agent.url + path, init)).status
}

t.test('bombs in JSON and in forms', async (t) => {
  const agent = await testBuiltAgent(t)
  const numbers = Buffer.from(`{"prompt":{},"x":[${'0,'.repeat(45_000_000)}0]}`)
  t.equal(await post(agent, '/prompt', numbers), 413, 'tens of millions of values')
  const keys = Buffer.from(`{"prompt":{${'"a":1,'.repeat(1_000_000)}"b":1}}`)
  t.equal(await post(agent, '/prompt', keys), 413, 'a million keys')
  const deep = Buffer.from('['.repeat(50_000_000))
  t.equal(await post(agent, '/prompt', deep), 500, 'nested tens of millions deep')
  const string = Buffer.from(`{"prompt":{},"x":"${'a'.repeat(90_000_000)}"}`)
  t.equal(await post(agent, '/prompt', string), 400, 'a large string and no prompt')
  const part = '--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n\r\n'
  const parts = Buffer.from(`${part.repeat(1_000_000)}--b--`)
  const form = 'multipart/form-data; boundary=b'
  t.equal(await post(agent, '/upload/image', parts, form), 400, 'a million parts')
  t.equal((await ask(agent, 'GET', '/prompt')).status, 200)
  checkMemory(t, agent, 'bombs')
})

/** A PNG of any size in a few kilobytes, or with pixels that inflate to far more than it says. */
function pngBomb(width: number, height: number, pixels: Buffer): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(data.length)
    // A wrong checksum would be the end of it.
    return Buffer.concat([length, Buffer.from(type), data, checksum(type, data)])
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  const end = chunk('IEND', Buffer.alloc(0))
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), end])
}

function checksum(type: string, data: Buffer): Buffer {
  const value = Buffer.alloc(4)
  value.writeUInt32BE(crc32(data, crc32(type)))
  return value
}

const u16 = (value: number) => [value & 255, value >> 8]
const u32 = (value: number) => [...u16(value & 65535), ...u16(value >>> 16)]

/** 65,535 pixels a side, and one of them. */
function gifBomb(): Buffer {
  const size = [...u16(65_535), ...u16(65_535)]
  const colours = [0, 0, 0, 255, 255, 255]
  const frame = [0x2c, 0, 0, 0, 0, ...size, 0, 2, 2, 0x4c, 1, 0, 0x3b]
  return Buffer.from([...Buffer.from('GIF89a'), ...size, 0x80, 0, 0, ...colours, ...frame])
}

/** 16,384 pixels a side, the most that a lossless one can say. */
function webpBomb(): Buffer {
  const pixels = [0x2f, ...u32(0x3fff | (0x3fff << 14)), ...new Array(11).fill(0)]
  const chunk = [...Buffer.from('VP8L'), ...u32(pixels.length), ...pixels]
  const all = [...Buffer.from('WEBP'), ...chunk]
  return Buffer.from([...Buffer.from('RIFF'), ...u32(all.length), ...all])
}

/** 4,000,000 pixels a side, in one strip that is not there. */
function tiffBomb(): Buffer {
  const [side, long, short] = [4_000_000, 4, 3]
  const tag = (id: number, type: number, value: number) => [
    ...u16(id),
    ...u16(type),
    ...u32(1),
    ...u32(value),
  ]
  const tags = [
    tag(256, long, side),
    tag(257, long, side),
    tag(258, short, 8),
    tag(259, short, 1),
    tag(262, short, 1),
    tag(273, long, 8),
    tag(277, short, 1),
    tag(278, long, side),
    tag(279, long, 0xffffffff),
  ]
  return Buffer.from([0x49, 0x49, 42, 0, ...u32(8), ...u16(tags.length), ...tags.flat(), ...u32(0)])
}

t.test('bombs in pictures', async (t) => {
  const agent = await testBuiltAgent(t)
  const square = { width: 9000, height: 9000, channels: 3, background: 'red' } as const
  const pictures: { readonly [name: string]: Buffer } = {
    'huge.png': pngBomb(60_000, 60_000, deflateSync(Buffer.alloc(1000))),
    'huge.gif': gifBomb(),
    'huge.webp': webpBomb(),
    'huge.tiff': tiffBomb(),
    'overfull.png': pngBomb(4, 4, deflateSync(Buffer.alloc(200 * MEGABYTE))),
    'cut.png': pngBomb(64, 64, deflateSync(Buffer.alloc(64 * 193))).subarray(0, 60),
    'large.png': await sharp({ create: square }).png().toBuffer(),
    'markup.png': Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    'nothing.png': Buffer.alloc(0),
  }
  for (const [name, bytes] of Object.entries(pictures)) {
    const form = new FormData()
    form.set('image', new File([new Uint8Array(bytes)], name))
    await fetch(`${agent.url}/upload/image`, { method: 'POST', body: form })
    const preview = await ask(agent, 'GET', `/view?filename=${name}&type=input&preview=webp`)
    if (name !== 'overfull.png') t.equal(preview.status, 400, `a preview of ${name}`)
    if (name === 'large.png') continue
    const load = { class_type: 'LoadImage', inputs: { image: name } }
    const save = { class_type: 'PreviewImage', inputs: { images: ['1', 0] } }
    const entry = await runJob(agent, { 1: load, 2: save })
    const isFine = name === 'overfull.png' || entry.status.status_str === 'error'
    t.ok(isFine, `${name} is loaded or refused`)
  }
  const original = await fetch(`${agent.url}/view?filename=markup.png&type=input`)
  t.equal(original.headers.get('x-content-type-options'), 'nosniff')
  checkMemory(t, agent, 'pictures')
  await pixelsOf(agent, textToImage({ seed: 1 }))
  t.pass('and the agent draws')
})

t.test('models that lie', async (t) => {
  const folder = t.testdir({ data: { models: { checkpoints: {}, loras: {} } } })
  const checkpoints = join(folder, 'data', 'models', 'checkpoints')
  mkdirSync(checkpoints, { recursive: true })
  const withHeader = (header: string, length = BigInt(Buffer.byteLength(header))) => {
    const start = Buffer.alloc(8)
    start.writeBigUInt64LE(length)
    return Buffer.concat([start, Buffer.from(header)])
  }
  const files: { readonly [name: string]: Buffer } = {
    'endless.safetensors': withHeader('{}', 2n ** 64n - 1n),
    'deep.safetensors': withHeader(`{"a":${'['.repeat(10_000_000)}`),
    'wide.safetensors': withHeader(`{${'"a":0,'.repeat(10_000_000)}"b":0}`),
    'twice.safetensors': withHeader('{"a":{},"a":{}}'),
    'empty.safetensors': Buffer.alloc(0),
  }
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(checkpoints, name), bytes)
  // Says that it has a header of 99 MB, and has it, but as a hole of the disk.
  writeFileSync(join(checkpoints, 'hole.safetensors'), withHeader('', 99_000_000n))
  truncateSync(join(checkpoints, 'hole.safetensors'), 99_000_008)
  const agent = await testBuiltAgent(t, join(folder, 'data'))
  for (const name of [...Object.keys(files), 'hole.safetensors']) {
    t.equal((await ask(agent, 'GET', `/view_metadata/checkpoints?filename=${name}`)).status, 404)
    const entry = await runJob(agent, textToImage({ seed: 1, checkpoint: name }))
    t.match(JSON.stringify(entry.status), /cannot be used as a .safetensors file/, name)
  }
  checkMemory(t, agent, 'models')
})

t.test('a crowd that says nothing', async (t) => {
  const agent = await testBuiltAgent(t)
  const { port } = new URL(agent.url)
  const crowd = Array.from({ length: 2500 }, () => connectTcp(Number(port), '127.0.0.1'))
  for (const socket of crowd) {
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
  }
  await Promise.all(
    crowd.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])),
  )
  t.equal((await ask(agent, 'GET', '/prompt')).status, 200)
  checkMemory(t, agent, 'a crowd')
})
