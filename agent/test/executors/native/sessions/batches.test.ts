import { MeshError } from '@comfymesh/protocol/errors'
import t from 'tap'
import { runInParts, takePart } from '../../../../src/executors/native/sessions/batches.ts'
import { retryAlone } from '../../../../src/executors/native/sessions/network-runner.ts'
import type { Tensor } from '../../../../src/executors/native/values.ts'

const batchOf = (total: number): Tensor => ({
  data: Float32Array.from({ length: total * 2 }, (_, i) => i),
  shape: [total, 2],
})

/** Runs the identity over a batch on a device that can hold `capacity` entries. */
async function identity(total: number, expectedLimit: number, capacity: number) {
  const limits = new Map<string, number>()
  const sizes: number[] = []
  const batch = batchOf(total)
  const plan = { total, expectedLimit, limits, limitKey: 'unet' }
  const run = (): Promise<Tensor> =>
    runInParts(plan, async (part) => {
      sizes.push(part.size)
      if (part.size > capacity) throw new MeshError('out_of_memory', 'full')
      return takePart(batch, part)
    })
  return { run, sizes, batch }
}

t.test('a batch that fits runs at once, untouched', async (t) => {
  const { run, sizes, batch } = await identity(4, 8, 8)
  t.same(await run(), batch)
  t.same(sizes, [4])
})

t.test('a larger one runs in equal parts, the last one filled up', async (t) => {
  const { run, sizes, batch } = await identity(5, 2, 8)
  t.same(await run(), batch)
  t.same(sizes, [2, 2, 2])
})

t.test('parts are halved when memory runs out, and stay so', async (t) => {
  const { run, sizes, batch } = await identity(8, 8, 3)
  t.same(await run(), batch)
  t.same(sizes, [8, 4, 2, 2, 2, 2])
  await run()
  t.same(sizes.slice(6), [2, 2, 2, 2], 'nothing is tried again')
})

t.test('a device that cannot hold one says so', async (t) => {
  const { run, sizes } = await identity(4, 4, 0)
  await t.rejects(run(), { code: 'out_of_memory' })
  t.same(sizes, [4, 2, 1])
})

t.test('other errors are not retried', async (t) => {
  const plan = { total: 4, expectedLimit: 4, limits: new Map(), limitKey: '' }
  let runs = 0
  const failing = runInParts(plan, async () => {
    runs += 1
    throw new Error('no such operator')
  })
  await t.rejects(failing, { message: 'no such operator' })
  t.equal(runs, 1)
})

t.test('out of memory is tried once more with all else released', async (t) => {
  let cleared = 0
  const sessions = { clear: async () => void cleared++ }
  const outOfMemory = new MeshError('out_of_memory', 'full')
  let failures = 1
  const work = async (): Promise<string> => {
    if (failures-- > 0) throw outOfMemory
    return 'done'
  }
  t.equal(await retryAlone(sessions, work), 'done')
  t.equal(cleared, 1)
  failures = 2
  await t.rejects(retryAlone(sessions, work), { code: 'out_of_memory' })
  failures = 0
  await t.rejects(
    retryAlone(sessions, () => Promise.reject(new Error('other'))),
    { message: 'other' },
  )
})
