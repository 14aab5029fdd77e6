/** Noise against torch.randn and ComfyUI's prepare_noise. */
import t from 'tap'
import { normalGenerator } from '../../../../src/executors/native/sampling/generator.ts'
import { independentNoise, startingNoise } from '../../../../src/executors/native/sampling/noise.ts'
import { generateState } from '../../../../src/executors/native/sampling/seed-sequence.ts'
import { goldenCases, goldenTensors, largestDifference } from '../../../goldens.ts'

interface Randn {
  readonly kind: 'randn'
  readonly name: string
  readonly seed: string
  readonly size: number
  readonly holds?: string
  readonly sum?: number
}
interface Sequence {
  readonly kind: 'sequence'
  readonly seed: string
  readonly sizes: number[]
}
interface Batch {
  readonly kind: 'batch'
  readonly name: string
  readonly seed: string
  readonly shape: number[]
  readonly batch_index: number[] | null
}
interface Spawned {
  readonly kind: 'seed_sequence'
  readonly entropy: string
  readonly spawn_key: number[]
  readonly pool_size: number
  readonly state: number[]
}
type Case = Randn | Sequence | Batch | Spawned

const cases = goldenCases<Case>('noise')
const golden = goldenTensors('noise')
const TOLERANCE = 2e-6

t.test('a seed gives the normals of torch.randn, for every size', async (t) => {
  for (const { name, seed, size, holds, sum } of cases.filter((c) => c.kind === 'randn')) {
    const found = normalGenerator(BigInt(seed)).normals(size)
    const kept = holds === undefined ? found : [...found.subarray(0, 32), ...found.subarray(-32)]
    t.ok(largestDifference(kept, golden(name).data) < TOLERANCE, name)
    if (sum === undefined) continue
    const total = found.reduce((sofar, value) => sofar + value, 0)
    t.ok(Math.abs(total - sum) < 1e-2, `${name} sums to the same`)
  }
})

t.test('a generator goes on where it left off', async (t) => {
  for (const { seed, sizes } of cases.filter((c) => c.kind === 'sequence')) {
    const generator = normalGenerator(Number(seed))
    sizes.forEach((size, i) => {
      const found = generator.normals(size)
      t.ok(largestDifference(found, golden(`sequence.${i}`).data) < TOLERANCE, `${size} values`)
    })
  }
})

t.test('batch entries get the draws that their indexes name', async (t) => {
  for (const { name, seed, shape, batch_index } of cases.filter((c) => c.kind === 'batch')) {
    const found = startingNoise(shape, Number(seed), batch_index ?? undefined)
    t.same(found.shape, shape)
    t.ok(largestDifference(found.data, golden(name).data) < TOLERANCE, `${batch_index}`)
  }
})

t.test('the noise of steps comes from the seed plus one', async (t) => {
  const noise = independentNoise([1, 4, 2, 2], 7)
  const generator = normalGenerator(8)
  t.same(noise(2, 1).data, generator.normals(16))
  t.same(noise(1, 0.5).data, generator.normals(16))
  t.doesNotThrow(() => independentNoise([1], 2n ** 64n - 1n)(2, 1), 'the largest seed')
})

t.test('seeds spawn as in numpy', async (t) => {
  for (const c of cases.filter((c) => c.kind === 'seed_sequence')) {
    const found = generateState(BigInt(c.entropy), c.spawn_key, c.pool_size, c.state.length)
    t.same(found, c.state, `${c.entropy} ${c.spawn_key}`)
  }
})
