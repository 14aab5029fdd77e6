/** Batches that are cut into parts and joined again are what they were. */
import t from 'tap'
import { normalNoise, startingNoise } from '../../../../src/executors/native/sampling/noise.ts'
import {
  type Batch,
  imageBatch,
  latentBatch,
} from '../../../../src/executors/native/travel/batches.ts'
import type { Latent } from '../../../../src/executors/native/values.ts'

const random = (...shape: number[]) => normalNoise(shape, shape.length)

function cutAndJoin<T>(batch: Batch<T>, value: T, bounds: readonly number[]): T {
  const ranges = bounds.slice(1).map((end, i) => ({ start: bounds[i]!, end }))
  return batch.join(ranges.map((range) => ({ range, value: batch.cut(value, range) })))
}

const splits = [
  [0, 4],
  [0, 2, 4],
  [0, 1, 4],
  [0, 1, 2, 3, 4],
]

t.test('pictures', async (t) => {
  const images = random(4, 3, 5, 3)
  for (const bounds of splits) t.same(cutAndJoin(imageBatch, images, bounds), images)
  t.same(imageBatch.cut(images, { start: 1, end: 3 }).shape, [2, 3, 5, 3])
  t.equal(imageBatch.size(images), 4)
})

t.test('latents with all that is on them', async (t) => {
  const samples = random(4, 4, 6, 6)
  const latents: Latent[] = [
    { samples },
    { samples, noiseMask: random(1, 12, 12) },
    { samples, noiseMask: random(4, 12, 12) },
    { samples, batchIndex: [3, 4, 5, 6] },
    { samples, batchIndex: [7, 7, 1, 0], noiseMask: random(1, 6, 6) },
  ]
  for (const latent of latents)
    for (const bounds of splits) t.same(cutAndJoin(latentBatch, latent, bounds), latent)
})

t.test('an entry draws the same noise in a part as in the whole', async (t) => {
  const latent: Latent = { samples: random(4, 4, 6, 6) }
  const whole = startingNoise(latent.samples.shape, 5)
  const part = latentBatch.cut(latent, { start: 2, end: 4 })
  const noise = startingNoise(part.samples.shape, 5, part.batchIndex)
  t.same(noise, imageBatch.cut(whole, { start: 2, end: 4 }))
})

t.test('masks of different parts stay with their pictures', async (t) => {
  const part = (start: number, masks: number) => ({
    range: { start, end: start + 2 },
    value: { samples: random(2, 4, 6, 6), noiseMask: random(masks, 6, 6) },
  })
  const [one, two] = [part(0, 2), part(2, 2)]
  const joined = latentBatch.join([one, two])
  t.same(joined.noiseMask!.shape, [4, 6, 6])
  t.same(imageBatch.cut(joined.noiseMask!, { start: 2, end: 4 }), two.value.noiseMask)
})

t.test('parts that do not fit make no batch', async (t) => {
  const range = { start: 0, end: 1 }
  const image = (...shape: number[]) => ({ range, value: random(...shape) })
  t.throws(() => imageBatch.join([image(1, 3, 5, 3), image(1, 5, 3, 3)]), RangeError)
  const samples = random(1, 4, 6, 6)
  const [bare, masked] = [{ samples }, { samples, noiseMask: random(1, 6, 6) }]
  t.throws(() => latentBatch.join([bare, masked].map((value) => ({ range, value }))), RangeError)
})
