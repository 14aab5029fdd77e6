/** Brownian noise against k-diffusion's BrownianTreeNoiseSampler over torchsde. */
import t from 'tap'
import { scale } from '../../../../src/executors/native/array/arithmetic.ts'
import {
  brownianNoise,
  brownianPath,
  roundToMillionth,
} from '../../../../src/executors/native/sampling/brownian.ts'
import type { NoiseSampler } from '../../../../src/executors/native/sampling/noise.ts'
import { goldenCases, goldenTensors, largestDifference } from '../../../goldens.ts'

interface Case {
  readonly kind: string
  readonly name: string
  readonly seed: string
  readonly shape: number[]
  readonly sigma_min: number
  readonly sigma_max: number
  readonly transform: 'none' | 'minus log'
  readonly pairs: [number, number][]
}

const cases = goldenCases<Case>('noise').filter(({ kind }) => kind === 'brownian')
const golden = goldenTensors('noise')
const f32 = Math.fround

/** The sampler over minus the logarithm of sigma: time rises while sigma falls. */
function overLogarithm({ shape, sigma_min, sigma_max, seed }: Case): NoiseSampler {
  const time = (sigma: number) => f32(-f32(Math.log(f32(sigma))))
  const path = brownianPath(shape, time(sigma_max), time(sigma_min), BigInt(seed))
  return (sigma, sigmaNext) => {
    const [start, end] = [time(sigma), time(sigmaNext)]
    return scale(path(start, end), -1 / Math.sqrt(end - start))
  }
}

for (const c of cases) {
  t.test(`${c.name}: seed ${c.seed}, ${c.transform}`, async (t) => {
    const { shape, sigma_min, sigma_max, seed, pairs } = c
    const sampler =
      c.transform === 'none'
        ? brownianNoise(shape, f32(sigma_min), f32(sigma_max), BigInt(seed))
        : overLogarithm(c)
    const found = pairs.flatMap(([from, to]) => [...sampler(f32(from), f32(to)).data])
    const difference = largestDifference(found, golden(c.name).data)
    t.ok(difference < 1e-5, `differs by ${difference}`)
  })
}

t.test('the order of questions does not matter, nor does forgetting', async (t) => {
  const times = Array.from({ length: 60 }, (_, i) => (i * 37) % 61).map((k) => 0.1 + k / 7)
  const path = () => brownianPath([2, 3], 0.1, 9, 5)
  const many = path()
  for (const time of times) {
    const end = Math.min(9, time + 0.3)
    t.same(many(time, end).data, path()(time, end).data, `from ${time}`)
  }
})

t.test('increments add up', async (t) => {
  const path = brownianPath([4], 0, 10, 1)
  const whole = path(0, 10).data
  const parts = [path(0, 3.3333), path(3.3333, 7), path(7, 10)]
  const sum = whole.map((_, i) => parts.reduce((sofar, part) => sofar + (part.data[i] ?? 0), 0))
  t.ok(largestDifference(sum, whole) < 1e-5)
})

t.test('rounding to millionths is that of Python', async (t) => {
  t.equal(roundToMillionth(0.0291671588), 0.029167)
  t.equal(roundToMillionth(1 / 128), 0.007812, 'a tie goes to the even neighbour')
  t.equal(roundToMillionth(3 / 128), 0.023438)
  t.equal(roundToMillionth(14.614642), 14.614642)
})
