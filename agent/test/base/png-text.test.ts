import { crc32, deflateSync } from 'node:zlib'
import sharp from 'sharp'
import t from 'tap'
import { insertPngText, readPngText } from '../../src/base/png-text.ts'

const raw = { width: 2, height: 1, channels: 3 as const }
const png = await sharp(Uint8Array.of(1, 2, 3, 250, 251, 252), { raw })
  .png()
  .toBuffer()

/** The types of the chunks, in order. */
function chunkTypes(bytes: Uint8Array): string[] {
  const buffer = Buffer.from(bytes)
  const types: string[] = []
  for (let at = 8; at < buffer.length; at += 12 + buffer.readUInt32BE(at)) {
    types.push(buffer.toString('latin1', at + 4, at + 8))
  }
  return types
}

/** The picture with a chunk put before its pixels as it is. */
function withChunk(
  type: string,
  data: Uint8Array,
  checksum?: number,
  picture: Buffer = png,
): Buffer {
  const chunk = Buffer.alloc(12 + data.length)
  chunk.writeUInt32BE(data.length)
  chunk.write(type, 4, 'latin1')
  chunk.set(data, 8)
  chunk.writeUInt32BE(checksum ?? crc32(data, crc32(type)), 8 + data.length)
  const at = picture.indexOf('IDAT') - 4
  return Buffer.concat([picture.subarray(0, at), chunk, picture.subarray(at)])
}

t.test('texts stand before the pixels, in their order', async (t) => {
  const texts = [
    ['prompt', '{"3": {"inputs": {"text": "caf\\u00e9"}}}'],
    ['workflow', ''],
  ] as const
  const labelled = insertPngText(png, texts)
  t.same(readPngText(labelled), texts)
  const types = chunkTypes(labelled)
  t.equal(types.indexOf('tEXt') + 2, types.indexOf('IDAT'))
  t.equal(types.at(-1), 'IEND')
  const [before, after] = await Promise.all(
    [png, labelled].map((file) => sharp(file).raw().toBuffer()),
  )
  t.same(after, before, 'the picture is the same')
  t.same(readPngText(png), [], 'and the original untouched')
})

t.test('what Latin-1 cannot write becomes iTXt', async (t) => {
  const texts = [
    ['prompt', 'ein Kätzchen'],
    ['note', '猫 🐈'],
  ] as const
  const labelled = insertPngText(png, texts)
  t.same(readPngText(labelled), texts)
  t.same(
    chunkTypes(labelled).filter((type) => type.endsWith('Xt')),
    ['tEXt', 'iTXt'],
  )
  t.equal((await sharp(labelled).metadata()).width, 2)
})

t.test('keywords that no PNG can hold are left out', async (t) => {
  const keywords = ['', 'k'.repeat(80), '猫', 'a\0b', 'k'.repeat(79)]
  const labelled = insertPngText(
    png,
    keywords.map((keyword) => [keyword, 'x'] as const),
  )
  t.same(readPngText(labelled), [['k'.repeat(79), 'x']])
})

t.test('compressed texts are read', async (t) => {
  const zipped = deflateSync(Buffer.from('grün', 'latin1'))
  t.same(readPngText(withChunk('zTXt', Buffer.concat([Buffer.from('a\0\0'), zipped]))), [
    ['a', 'grün'],
  ])
  const utf8 = deflateSync(Buffer.from('猫'))
  const international = Buffer.concat([Buffer.from('b\0\x01\0de\0B\0'), utf8])
  t.same(readPngText(withChunk('iTXt', international)), [['b', '猫']])
})

t.test('a hostile file does no harm', async (t) => {
  const bomb = Buffer.concat([Buffer.from('a\0\0'), deflateSync(Buffer.alloc(70 * 1024 * 1024))])
  const malformed = { name: 'MeshError', code: 'malformed_file' }
  t.throws(() => readPngText(withChunk('zTXt', bomb)), malformed, 'a bomb is not inflated')
  t.same(readPngText(withChunk('tEXt', Buffer.from('a\0b'), 1)), [], 'a wrong checksum')
  t.same(readPngText(withChunk('tEXt', Buffer.from('no separator'))), [])
  t.same(readPngText(withChunk('iTXt', Buffer.from('a\0'))), [])
  t.same(readPngText(withChunk('zTXt', Buffer.from('a\0\0nonsense'))), [])
  const cutOff = png.subarray(0, png.length - 20)
  for (const bytes of [new Uint8Array(), Buffer.from('GIF89a'), cutOff, png.subarray(0, 40)]) {
    t.throws(() => insertPngText(bytes, [['a', 'b']]), malformed)
  }
  t.throws(() => readPngText(cutOff), malformed)
  const long = Buffer.from(png)
  long.writeUInt32BE(0xffffffff, 8)
  t.throws(() => readPngText(long), malformed, 'a length beyond the file')
  // Each inflates to 60 MB before it turns out to be broken.
  const broken = Buffer.concat([
    Buffer.from('a\0\0'),
    deflateSync(Buffer.alloc(60_000_000)).subarray(0, -4),
  ])
  let many: Buffer = png
  for (let i = 0; i < 10; i++) many = withChunk('zTXt', broken, undefined, many)
  t.throws(() => readPngText(many), malformed, 'many broken texts')
})
