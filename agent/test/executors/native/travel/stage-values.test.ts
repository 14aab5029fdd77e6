import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { normalNoise } from '../../../../src/executors/native/sampling/noise.ts'
import { handOut, readOutput } from '../../../../src/executors/native/travel/stage-values.ts'

const images = normalNoise([4, 3, 5, 3], 1)
const output = { nodeId: '8', slot: 0, type: 'IMAGE' }

t.test('a value leaves its stage and arrives at another', async (t) => {
  const folder = join(t.testdir(), 'not', 'there', 'yet')
  const made = await handOut(output, images, folder)
  t.match(made, { ...output, tensors: [{ name: 'image', dtype: 'F32', shape: [4, 3, 5, 3] }] })
  t.equal(readFileSync(made.path).length, made.blob.sizeBytes)
  t.same(await readOutput([made]), images)
})

t.test('parts of a batch arrive as one, in whatever order', async (t) => {
  const folder = t.testdir()
  const part = (start: number, end: number) =>
    handOut({ ...output, slice: { start, end } }, images, folder)
  const parts = [await part(3, 4), await part(0, 1), await part(1, 3)]
  t.same(await readOutput(parts), images)
  t.same(((await readOutput([parts[2]!])) as typeof images).shape, [2, 3, 5, 3])
  const corrupt = { code: 'corrupt_value', details: { nodeId: '8', slot: 0 } }
  await t.rejects(readOutput([parts[0]!, parts[1]!]), corrupt, 'a hole')
  await t.rejects(readOutput([...parts, parts[2]!]), corrupt, 'an overlap')
  const longer = { ...parts[2]!, slice: { start: 1, end: 4 } }
  await t.rejects(readOutput([longer]), corrupt, 'other entries than said')
})

t.test('what cannot be handed out names its output and leaves nothing', async (t) => {
  const folder = t.testdir()
  const refused = (type: string, value: unknown, slice?: { start: number; end: number }) =>
    t.rejects(handOut({ ...output, type, ...(slice && { slice }) }, value, folder), {
      code: 'node_failed',
      details: { nodeId: '8', slot: 0 },
      message: new RegExp(type),
    })
  await refused('IMAGE', undefined)
  await refused('IMAGE', images, { start: 2, end: 5 })
  await refused('IMAGE', images, { start: 2, end: 2 })
  await refused('STRING', 'text', { start: 0, end: 1 })
  await refused('MODEL', {})
  t.same(readdirSync(folder), [])
})

t.test('a disk that refuses says so', async (t) => {
  const folder = join(t.testdir({ file: 'in the way' }), 'file')
  await t.rejects(handOut(output, images, folder), { code: 'storage_failed', message: /file/ })
})

t.test('a value that is damaged, wrong or gone says so', async (t) => {
  const folder = t.testdir()
  const made = await handOut(output, images, folder)
  const details = { nodeId: '8', slot: 0 }
  await t.rejects(readOutput([{ ...made, type: 'MASK' }]), { code: 'corrupt_value', details })
  await t.rejects(readOutput([{ ...made, path: join(folder, 'gone') }]), {
    code: 'storage_failed',
    details,
  })
  writeFileSync(made.path, readFileSync(made.path).subarray(0, -4))
  await t.rejects(readOutput([made]), {
    code: 'corrupt_value',
    details,
    message: /IMAGE of node 8, output 0,.*cut short.*made again/,
  })
})
