import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openSafetensors } from '../../src/models/safetensors.ts'
import { readRows, readTensor } from '../../src/models/tensor-values.ts'
import { writeRaw, writeSafetensors } from './model-files.ts'

/** Bit patterns and what they mean, by the formats' own tables. */
const patterns = {
  F64: [['000000000000f83f', 1.5]],
  F32: [
    ['0000c03f', 1.5],
    ['000080ff', Number.NEGATIVE_INFINITY],
  ],
  F16: [
    ['003c', 1],
    ['ff7b', 65504],
    ['0100', 2 ** -24],
    ['ff03', 2 ** -14 - 2 ** -24],
    ['00fc', Number.NEGATIVE_INFINITY],
    ['007e', Number.NaN],
    ['66ae', -0.0999755859375],
  ],
  BF16: [
    ['803f', 1],
    ['c0bf', -1.5],
    ['807f', Number.POSITIVE_INFINITY],
  ],
  F8_E4M3: [
    ['38', 1],
    ['7e', 448],
    ['01', 2 ** -9],
    ['7f', Number.NaN],
    ['b8', -1],
  ],
  F8_E5M2: [
    ['3c', 1],
    ['7b', 57344],
    ['01', 2 ** -16],
    ['fc', Number.NEGATIVE_INFINITY],
  ],
  I64: [['feffffffffffffff', -2]],
  U8: [['c8', 200]],
} as const

for (const [dtype, rows] of Object.entries(patterns)) {
  t.test(`${dtype} elements`, async (t) => {
    const data = Buffer.from(rows.map(([hex]) => hex).join(''), 'hex')
    const a = { dtype, shape: [rows.length], data_offsets: [0, data.length] }
    const path = writeRaw(join(t.testdir(), 'x.safetensors'), JSON.stringify({ a }), data)
    const values = await readTensor(await openSafetensors(path), 'a')
    t.same(
      [...values],
      rows.map(([, value]) => Math.fround(value)),
    )
  })
}

t.test('rows', async (t) => {
  const path = writeSafetensors(join(t.testdir(), 'x.safetensors'), {
    before: { shape: [1], values: [9] },
    table: { shape: [3, 2], values: [0, 1, 2, 3, 4, 5], dtype: 'BF16' },
  })
  const file = await openSafetensors(path)
  const rows = await readRows(file, 'table', [2, 1])
  t.same(
    rows.map((row) => [...row]),
    [
      [4, 5],
      [2, 3],
    ],
  )
  await t.rejects(readRows(file, 'table', [0, 3]), RangeError)
  await t.rejects(readRows(file, 'table', [-1]), RangeError)
})

t.test('tensors that are absent, or gone since the header was read', async (t) => {
  const path = writeSafetensors(join(t.testdir(), 'x.safetensors'), {
    a: { shape: [4], values: [1, 2, 3, 4] },
  })
  const file = await openSafetensors(path)
  await t.rejects(readTensor(file, 'b'), { code: 'malformed_file', message: /lacks the tensor b/ })
  truncateSync(path, file.fileBytes - 4)
  await t.rejects(readTensor(file, 'a'), { code: 'malformed_file', message: /cut/ })
})
