import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import t, { type Test } from 'tap'
import { openSafetensors } from '../../src/models/safetensors.ts'
import { writeRaw, writeSafetensors } from './model-files.ts'

t.test('names, types, shapes, places and metadata', async (t) => {
  const path = writeSafetensors(
    join(t.testdir(), 'model.safetensors'),
    {
      first: { shape: [2, 3], values: [1, 2, 3, 4, 5, 6], dtype: 'F16' },
      'a.scalar': { shape: [], values: [7] },
      none: { shape: [0, 4], values: [] },
    },
    { format: 'pt' },
  )
  const file = await openSafetensors(path)
  const start = file.fileBytes - 16
  t.same(Object.fromEntries(file.tensors), {
    first: { dtype: 'F16', shape: [2, 3], offset: start, byteLength: 12 },
    'a.scalar': { dtype: 'F32', shape: [], offset: start + 12, byteLength: 4 },
    none: { dtype: 'F32', shape: [0, 4], offset: start + 16, byteLength: 0 },
  })
  t.same(file.metadata, { format: 'pt' })
})

async function refuses(t: Test, path: string, message: RegExp): Promise<void> {
  await t.rejects(openSafetensors(path), { code: 'malformed_file', message })
  const thrown = await openSafetensors(path).catch((error: unknown) => error)
  t.ok(thrown instanceof MeshError && thrown.message.includes(path), 'names the file')
}

/** An entry of float32s at the given bytes. */
const entry = (from: number, to: number, more: object = {}) => ({
  dtype: 'F32',
  shape: [(to - from) / 4],
  data_offsets: [from, to],
  ...more,
})

const brokenHeaders: { readonly [what: string]: [header: unknown, message: RegExp] } = {
  'a list': [[], /not a JSON object/],
  'a number': [5, /not a JSON object/],
  null: [null, /not a JSON object/],
  'a tensor that is no object': [{ a: 5 }, /"a" is not described/],
  'an unknown type': [{ a: entry(0, 8, { dtype: 'F33' }) }, /unknown type "F33"/],
  'a type named like a method': [{ a: entry(0, 8, { dtype: 'toString' }) }, /unknown type/],
  'no shape': [{ a: { dtype: 'F32', data_offsets: [0, 8] } }, /not a list of sizes/],
  'a negative size': [{ a: entry(0, 8, { shape: [-2] }) }, /not a list of sizes/],
  'a fractional size': [{ a: entry(0, 8, { shape: [0.5, 4] }) }, /not a list of sizes/],
  'a size beyond integers': [{ a: entry(0, 8, { shape: [2 ** 60] }) }, /not a list of sizes/],
  'sizes whose product overflows': [
    { a: entry(0, 8, { shape: [2 ** 40, 2 ** 40] }) },
    /spans 8 bytes/,
  ],
  'more elements than bytes': [{ a: entry(0, 8, { shape: [3] }) }, /spans 8 bytes.*takes 12/],
  'offsets in the wrong order': [{ a: entry(0, 8, { data_offsets: [8, 0] }) }, /begin and an end/],
  'negative offsets': [{ a: entry(0, 8, { data_offsets: [-8, 0] }) }, /begin and an end/],
  'one offset': [{ a: entry(0, 8, { data_offsets: [8] }) }, /begin and an end/],
  'data beyond the file': [{ a: entry(0, 800) }, /cut short: 8 of 800 bytes/],
  'overlapping tensors': [{ a: entry(0, 8), b: entry(4, 8) }, /"b" overlaps/],
  'the same bytes twice': [{ a: entry(0, 8), b: entry(0, 8) }, /"b" overlaps/],
  'a hole': [{ a: entry(0, 4), b: entry(8, 12) }, /"b" leaves a hole/],
  'data before the first tensor': [{ a: entry(4, 8) }, /"a" leaves a hole/],
  'data after the last tensor': [{ a: entry(0, 4) }, /4 bytes follow/],
  'metadata that is no object': [{ __metadata__: 'x', a: entry(0, 8) }, /__metadata__/],
  'metadata that holds no text': [{ __metadata__: { a: 5 }, a: entry(0, 8) }, /__metadata__/],
}

for (const [what, [header, message]] of Object.entries(brokenHeaders)) {
  t.test(`a header with ${what} is refused`, async (t) => {
    const path = join(t.testdir(), 'model.safetensors')
    await refuses(t, writeRaw(path, JSON.stringify(header), new Uint8Array(8)), message)
  })
}

t.test('headers that are not JSON', async (t) => {
  const path = join(t.testdir(), 'model.safetensors')
  const a = JSON.stringify(entry(0, 8))
  await refuses(t, writeRaw(path, '{"a":', new Uint8Array(8)), /not JSON/)
  await refuses(t, writeRaw(path, '', new Uint8Array(8)), /not JSON/)
  await refuses(t, writeRaw(path, `{"a":${a},"a":${a}}`, new Uint8Array(8)), /a name twice/)
  await refuses(t, writeRaw(path, `{"a":${a},"\\u0061":${a}}`, new Uint8Array(8)), /a name twice/)
  const twoTypes = a.replace('"dtype"', '"dtype":"F64","dtype"')
  await refuses(t, writeRaw(path, `{"a":${twoTypes}}`, new Uint8Array(8)), /a name twice/)
  writeFileSync(path, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0xff]))
  await refuses(t, path, /not JSON/)
})

t.test('names may hold quotes, colons and __proto__', async (t) => {
  const path = join(t.testdir(), 'model.safetensors')
  const names = ['"a":', '\\', '__proto__', 'constructor', 'x": {']
  const header = names.map(
    (name, i) => `${JSON.stringify(name)}:${JSON.stringify(entry(4 * i, 4 * i + 4))}`,
  )
  const file = await openSafetensors(writeRaw(path, `{${header}}`, new Uint8Array(20)))
  t.same([...file.tensors.keys()], names)
})

t.test('files that end early', async (t) => {
  const path = join(t.testdir(), 'model.safetensors')
  writeFileSync(path, '')
  await refuses(t, path, /ends after 0 bytes/)
  writeFileSync(path, Buffer.from([1, 0, 0]))
  await refuses(t, path, /ends after 3 bytes/)
  writeFileSync(path, Buffer.from([200, 0, 0, 0, 0, 0, 0, 0, 0x7b]))
  await refuses(t, path, /ends within its header/)
  writeFileSync(path, Buffer.alloc(64, 0xff))
  await refuses(t, path, /more than the format's 100000000/)
})

t.test('files that are something else', async (t) => {
  const path = join(t.testdir(), 'model.safetensors')
  writeFileSync(path, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n')
  await refuses(t, path, /Git LFS pointer/)
  writeFileSync(path, '<!DOCTYPE html><title>Sign in</title>')
  await refuses(t, path, /web page/)
  writeFileSync(path, 'PK\x03\x04 a checkpoint')
  await refuses(t, path, /zipped pickle/)
})

t.test('a header as long as a web page begins is sound', async (t) => {
  // 0x3c is '<'.
  const header = '{}'.padEnd(0x3c)
  const file = await openSafetensors(
    writeRaw(join(t.testdir(), 'model.safetensors'), header, new Uint8Array()),
  )
  t.equal(file.tensors.size, 0)
})

t.test('absent files and folders', async (t) => {
  const folder = t.testdir()
  await t.rejects(openSafetensors(join(folder, 'none.safetensors')), { code: 'not_found' })
  await t.rejects(openSafetensors(folder), MeshError)
})

t.test('metadata of megabytes, as LoRA trainers write it', async (t) => {
  const tags = '{\\"tag\\": 1}, '.repeat(800_000)
  const path = join(t.testdir(), 'lora.safetensors')
  writeSafetensors(path, { a: { shape: [1], values: [1] } }, { ss_tag_frequency: tags })
  t.equal((await openSafetensors(path)).metadata.ss_tag_frequency, tags)
})

t.test('headers that are bombs', async (t) => {
  const folder = t.testdir()
  const write = (name: string, header: string) => {
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)))
    writeFileSync(join(folder, name), Buffer.concat([length, Buffer.from(header)]))
    return join(folder, name)
  }
  await refuses(t, write('deep', `{"a":${'['.repeat(1e6)}${']'.repeat(1e6)}}`), /nested deeper/)
  await refuses(t, write('wide', `{"a":[${'0,'.repeat(3e6)}0]}`), /more values/)
  for (const header of [
    `{"${'n'.repeat(5e6)}":5}`,
    `{"a":{"dtype":"${'F'.repeat(5e6)}"}}`,
    `{"a":{"dtype":"F32","shape":[${'1,'.repeat(1e5)}1],"data_offsets":[0,8]}}`,
    'x'.repeat(5e6),
  ]) {
    const thrown = await openSafetensors(write('long', header)).catch((error: Error) => error)
    t.ok(thrown instanceof MeshError && thrown.message.length < 1000, 'a short message')
  }
})
