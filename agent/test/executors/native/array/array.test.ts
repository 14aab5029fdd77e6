/** Tensor arithmetic, cutting and joining. */
import t from 'tap'
import {
  addInPlace,
  clampInPlace,
  isAllZero,
  map,
  mix,
  multiply,
  scale,
  type Term,
  weightedSum,
  zip,
} from '../../../../src/executors/native/array/arithmetic.ts'
import {
  concat,
  gather,
  repeat,
  repeatTo,
  slice,
} from '../../../../src/executors/native/array/slicing.ts'
import {
  copyOf,
  filled,
  reshape,
  sizeOf,
  tensor,
  zeros,
} from '../../../../src/executors/native/array/tensor.ts'
import type { Tensor } from '../../../../src/executors/native/values.ts'

/** 0, 1, 2, ... */
const counting = (...shape: number[]): Tensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => i),
    shape,
  )

const values = ({ data }: Tensor): number[] => [...data]

t.test('making tensors', async (t) => {
  t.same(values(filled([2, 2], 3)), [3, 3, 3, 3])
  t.throws(() => tensor(new Float32Array(5), [2, 3]), { code: 'internal' })
  t.throws(() => reshape(counting(2, 3), [7]), { code: 'internal' })
  const original = counting(3)
  copyOf(original).data[0] = 9
  t.same(values(original), [0, 1, 2])
})

t.test('slices', async (t) => {
  const source = counting(2, 3, 2)
  t.same(values(slice(source, 0, 1, 1)), [6, 7, 8, 9, 10, 11])
  t.same(slice(source, 0, 1, 1).shape, [1, 3, 2])
  t.same(values(slice(source, 1, 1, 2)), [2, 3, 4, 5, 8, 9, 10, 11])
  t.same(values(slice(source, 2, 0, 1)), [0, 2, 4, 6, 8, 10])
  t.equal(slice(source, 1, 0, 3), source)
  t.throws(() => slice(source, 1, 2, 2), { code: 'internal' })
  t.throws(() => slice(source, 3, 0, 1), { code: 'internal' })
})

t.test('joining and repeating', async (t) => {
  const a = counting(2, 1, 2)
  const b = scale(counting(2, 2, 2), 10)
  t.same(values(concat([a, b], 1)), [0, 1, 0, 10, 20, 30, 2, 3, 40, 50, 60, 70])
  t.same(concat([a, b], 1).shape, [2, 3, 2])
  t.throws(() => concat([a, b], 0), { code: 'internal' })
  t.throws(() => concat([], 0), { code: 'internal' })
  t.same(values(repeat(counting(2, 1), 1, 3)), [0, 0, 0, 1, 1, 1])
  t.same(values(repeatTo(counting(2), 0, 5)), [0, 1, 0, 1, 0])
  t.same(values(repeatTo(counting(4), 0, 3)), [0, 1, 2])
  t.same(values(gather(counting(3, 2), [2, 0, 2])), [4, 5, 0, 1, 4, 5])
})

t.test('elementwise', async (t) => {
  t.same(values(map(counting(3), (value) => value - 1)), [-1, 0, 1])
  t.same(values(zip(counting(3), filled([3], 2), Math.max)), [2, 2, 2])
  t.same(values(multiply(counting(3), counting(3))), [0, 1, 4])
  const clamped = counting(4)
  clampInPlace(clamped, 1, 2)
  t.same(values(clamped), [1, 1, 2, 2])
  t.throws(() => multiply(counting(3), counting(1, 3)), { code: 'internal' })
  const target = counting(3)
  addInPlace(target, filled([3], 1), 2)
  t.same(values(target), [2, 3, 4])
  const mask = tensor(Float32Array.of(1, 0.5, 0), [3])
  t.same(values(mix(filled([3], 4), filled([3], 8), mask)), [4, 6, 8])
  t.ok(isAllZero(zeros([3])))
  t.notOk(isAllZero(counting(2)))
})

t.test('weighted sums of any number of tensors', async (t) => {
  const term = (factor: number): Term => [factor, filled([5], 10 ** factor)]
  const [first, ...rest] = [1, 2, 3, 4, 5].map(term) as [Term, ...Term[]]
  const sums = rest.map((_, i) => weightedSum(first, ...rest.slice(0, i)).data[3])
  t.same([...sums, weightedSum(first, ...rest).data[3]], [10, 210, 3210, 43210, 543210])
  t.throws(() => weightedSum(first, [1, counting(4)]), { code: 'internal' })
})
