/** Every travelling type through its file and back, and files that are not what they should be. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createBlobHasher } from '../../../../src/base/blob-hash.ts'
import { readValue, writeValue } from '../../../../src/executors/native/travel/value-file.ts'
import type { ConditioningEntry, Latent, Tensor } from '../../../../src/executors/native/values.ts'
import { openSafetensors } from '../../../../src/models/safetensors.ts'
import { writeRaw, writeSafetensors } from '../../../models/model-files.ts'

/** Numbers of which a careless writer would lose some: NaN with a payload, -0, the smallest, the largest. */
function awkward(...shape: number[]): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1)
  const data = Float32Array.from({ length: size }, (_, i) => Math.sin(i) * 10 ** ((i % 60) - 30))
  data.set([-0, 1e-45, 3.4028234663852886e38, Number.NEGATIVE_INFINITY].slice(0, size))
  new Uint32Array(data.buffer).set([0x7fc12345], size - 1)
  return { data, shape }
}

/** Part of a larger array, as cutting makes them. */
function view(...shape: number[]): Tensor {
  const whole = awkward(shape[0]! + 2, ...shape.slice(1))
  const inner = whole.data.length / whole.shape[0]!
  return { data: whole.data.subarray(inner, whole.data.length - inner), shape }
}

const latent: Latent = {
  samples: view(3, 4, 5, 7),
  noiseMask: awkward(1, 40, 56),
  batchIndex: [0, 2, 4_000_000_000],
}

const mask = awkward(2, 9, 11)
const entry: ConditioningEntry = {
  tokens: awkward(1, 77, 16),
  pooled: awkward(1, 16),
  area: [8, 9, 0, 3],
  strength: 0.1,
  mask,
  maskStrength: 1 / 3,
  setAreaToBounds: true,
  startPercent: 0,
  endPercent: 0.999,
}

const values: [type: string, value: unknown][] = [
  ['LATENT', latent],
  ['LATENT', { samples: awkward(1, 4, 1, 1) }],
  ['IMAGE', awkward(2, 3, 5, 3)],
  ['IMAGE', awkward(1, 1, 1, 4)],
  ['MASK', mask],
  ['CONDITIONING', [entry, { tokens: awkward(1, 154, 16) }, { ...entry, pooled: awkward(1, 3) }]],
  ['CONDITIONING', []],
  ['INT', 7],
  ['INT', -(2 ** 52)],
  ['INT', 2n ** 64n - 1n],
  ['FLOAT', 0.1],
  ['FLOAT', -0],
  ['FLOAT', Number.NaN],
  ['STRING', ''],
  ['STRING', 'größer \u0000 \ud800 "😀"'],
  ['BOOLEAN', false],
  ['COMBO', 'euler'],
]

/** The same value with its arrays as bytes, in which NaNs are equal to themselves only. */
function bits(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return `${value.constructor.name} ${bytes.toString('hex')}`
  }
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  if (Array.isArray(value)) return value.map(bits)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, bits(item)]))
}

const folder = t.testdir()
let files = 0

function newPath(): string {
  files += 1
  return join(folder, `${files}.safetensors`)
}

for (const [index, [type, value]] of values.entries()) {
  t.test(`${type} (${index}) comes back to the bit`, async (t) => {
    const path = newPath()
    const { tensors, blob, digests } = await writeValue(path, type, value)
    t.strictSame(bits(await readValue(path, type)), bits(value))
    const hasher = createBlobHasher()
    hasher.update(readFileSync(path))
    t.same({ blob, digests }, hasher.finish(), 'the hash is that of the file')
    const file = await openSafetensors(path)
    const found = [...file.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }))
    t.same(tensors, found)
    const aligned = [...file.tensors.values()].every(
      ({ dtype, offset }) => offset % (dtype === 'F32' ? 4 : 8) === 0,
    )
    t.ok(aligned, 'its tensors can be mapped')
  })
}

t.test(
  'equal values make equal files; a mask that two entries share is written once',
  async (t) => {
    const other = { ...entry, tokens: awkward(1, 77, 16), mask }
    const paths = [newPath(), newPath()] as const
    const [first, second] = [
      await writeValue(paths[0], 'CONDITIONING', [entry, other]),
      await writeValue(paths[1], 'CONDITIONING', [entry, other]),
    ]
    t.same(first, second)
    t.same(
      first.tensors.map(({ name }) => name),
      ['0.tokens', '0.pooled', '0.mask', '1.tokens'],
    )
    const read = (await readValue(paths[0], 'CONDITIONING')) as ConditioningEntry[]
    t.equal(read[0]!.mask!.data, read[1]!.mask!.data)
  },
)

t.test('what is no value of its type is not written', async (t) => {
  const wrong: [type: string, value: unknown][] = [
    ['MODEL', { kind: 'MODEL', path: '/x', loras: [] }],
    ['IMAGE', awkward(5, 3)],
    ['LATENT', { samples: awkward(4, 5, 7) }],
    ['CONDITIONING', [{ tokens: awkward(2, 77, 16) }]],
    ['INT', '7'],
    ['INT', 0.5],
    ['STRING', 7],
    ['MASK', undefined],
  ]
  for (const [type, value] of wrong) await t.rejects(writeValue(newPath(), type, value), type)
})

t.test('files that are no values of the type are refused', async (t) => {
  const path = newPath()
  const typed = (type: string, value: unknown) => ({
    'comfymesh.type': type,
    'comfymesh.value': JSON.stringify(value),
  })
  const tensor = { shape: [1, 2, 2, 3], values: Array.from({ length: 12 }, () => 0) }
  const image = { image: { tensor: 'image' } }
  const write = (
    tensors: Parameters<typeof writeSafetensors>[1],
    metadata?: Record<string, string>,
  ) => writeSafetensors(path, tensors, metadata)
  const cases: [what: string, write: () => void][] = [
    ['no metadata', () => write({ image: tensor })],
    ['another type', () => write({ image: tensor }, typed('MASK', { mask: { tensor: 'image' } }))],
    ['no structure', () => write({ image: tensor }, { 'comfymesh.type': 'IMAGE' })],
    ['no JSON', () => write({ image: tensor }, { ...typed('IMAGE', 0), 'comfymesh.value': '{' })],
    ['another structure', () => write({ image: tensor }, typed('IMAGE', [image]))],
    ['more than is known', () => write({ image: tensor }, typed('IMAGE', { ...image, gamma: 2 }))],
    ['no such tensor', () => write({ other: tensor }, typed('IMAGE', image))],
    ['other axes', () => write({ image: { ...tensor, shape: [12] } }, typed('IMAGE', image))],
    [
      'no entries',
      () => write({ image: { shape: [0, 2, 2, 3], values: [] } }, typed('IMAGE', image)),
    ],
    [
      'another number type',
      () => write({ image: { ...tensor, dtype: 'F16' } }, typed('IMAGE', image)),
    ],
    [
      'more than the file holds',
      () => {
        const entry = {
          dtype: 'F32',
          shape: [2 ** 20, 2 ** 10, 2 ** 10, 4],
          data_offsets: [0, 2 ** 44],
        }
        writeRaw(
          path,
          JSON.stringify({ __metadata__: typed('IMAGE', image), image: entry }),
          Buffer.alloc(48),
        )
      },
    ],
    [
      'cut short',
      () => {
        write({ image: tensor }, typed('IMAGE', image))
        writeFileSync(path, readFileSync(path).subarray(0, -1))
      },
    ],
    ['nothing', () => writeFileSync(path, '')],
    ['garbage', () => writeFileSync(path, Buffer.alloc(4096, 0xa5))],
  ]
  for (const [what, write] of cases) {
    write()
    await t.rejects(readValue(path, 'IMAGE'), what)
  }
  write({ image: tensor }, typed('IMAGE', image))
  t.match(await readValue(path, 'IMAGE'), { shape: [1, 2, 2, 3] }, 'and this one is fine')
})

t.test('wrong parts of conditioning are refused', async (t) => {
  const path = newPath()
  const tokens = { shape: [1, 2, 3], values: [0, 0, 0, 0, 0, 0] }
  const readEntry = (entry: object) => {
    const structure = JSON.stringify([{ tokens: { tensor: 'tokens' }, ...entry }])
    const metadata = { 'comfymesh.type': 'CONDITIONING', 'comfymesh.value': structure }
    writeSafetensors(path, { tokens }, metadata)
    return readValue(path, 'CONDITIONING')
  }
  t.match(await readEntry({ area: [1, 2, 3, 4] }), [{ area: [1, 2, 3, 4] }])
  for (const entry of [
    { area: [1, 2, 3] },
    { area: [1, -2, 3, 4] },
    { strength: null },
    { strength: '1' },
    { mask: { tensor: 'tokens' }, pooled: { tensor: 'tokens' } },
    { guidance: 3.5 },
    { tokens: 'tokens' },
  ]) {
    await t.rejects(readEntry(entry), JSON.stringify(entry))
  }
})
