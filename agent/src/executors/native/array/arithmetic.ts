/**
 * Elementwise arithmetic. Every function returns a new tensor unless its name
 * ends in InPlace. Sums are taken in float64 and rounded once to float32.
 */
import type { Tensor } from '../values.ts'
import { assertSameShape } from './tensor.ts'

export function map(source: Tensor, each: (value: number) => number): Tensor {
  const from = source.data
  const data = new Float32Array(from.length)
  for (let i = 0; i < data.length; i++) data[i] = each(from[i] as number)
  return { data, shape: source.shape }
}

/** `each` over two tensors of one shape. */
export function zip(a: Tensor, b: Tensor, each: (a: number, b: number) => number): Tensor {
  assertSameShape(a, b)
  const left = a.data
  const right = b.data
  const data = new Float32Array(left.length)
  for (let i = 0; i < data.length; i++) data[i] = each(left[i] as number, right[i] as number)
  return { data, shape: a.shape }
}

export function scale(source: Tensor, factor: number): Tensor {
  const data = new Float32Array(source.data.length)
  scaleInto(data, factor, source.data)
  return { data, shape: source.shape }
}

/** `factor` x `source` to an array of the same length. */
export function scaleInto(out: Float32Array, factor: number, source: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = factor * (source[i] as number)
}

export function multiply(a: Tensor, b: Tensor): Tensor {
  return zip(a, b, (left, right) => left * right)
}

/** In place: whole pictures come by here, and memory for another one has to be asked for first. */
export function clampInPlace(target: Tensor, low: number, high: number): void {
  const values = target.data
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (value < low) values[i] = low
    else if (value > high) values[i] = high
  }
}

/** A tensor and the factor it counts with in a sum. */
export type Term = readonly [factor: number, tensor: Tensor]

/**
 * The weighted sum of tensors of one shape: the one step that all solvers are made of.
 * @returns factor1 x tensor1 + factor2 x tensor2 + ...
 */
export function weightedSum(first: Term, ...rest: readonly Term[]): Tensor {
  const [factor, source] = first
  for (const [, other] of rest) assertSameShape(source, other)
  const [second, third, ...more] = rest
  if (second === undefined) return scale(source, factor)
  const data = new Float32Array(source.data.length)
  if (third === undefined) sumOfTwo(data, factor, source.data, second[0], second[1].data)
  else if (more.length === 0) sumOfThree(data, first, second, third)
  else sumOfMany(data, [first, ...rest])
  return { data, shape: source.shape }
}

function sumOfTwo(
  out: Float32Array,
  factorA: number,
  a: Float32Array,
  factorB: number,
  b: Float32Array,
): void {
  for (let i = 0; i < out.length; i++) {
    out[i] = factorA * (a[i] as number) + factorB * (b[i] as number)
  }
}

function sumOfThree(out: Float32Array, termA: Term, termB: Term, termC: Term): void {
  const [factorA, { data: a }] = termA
  const [factorB, { data: b }] = termB
  const [factorC, { data: c }] = termC
  for (let i = 0; i < out.length; i++) {
    out[i] = factorA * (a[i] as number) + factorB * (b[i] as number) + factorC * (c[i] as number)
  }
}

function sumOfMany(out: Float32Array, terms: readonly Term[]): void {
  const sums = new Float64Array(out.length)
  for (const [factor, { data }] of terms) {
    for (let i = 0; i < sums.length; i++) {
      sums[i] = (sums[i] as number) + factor * (data[i] as number)
    }
  }
  out.set(sums)
}

/** Adds `factor` x `other` to `target`. */
export function addInPlace(target: Tensor, other: Tensor, factor = 1): void {
  assertSameShape(target, other)
  const to = target.data
  const from = other.data
  for (let i = 0; i < to.length; i++) to[i] = (to[i] as number) + factor * (from[i] as number)
}

/** Per element: `a` where the mask is 1, `b` where it is 0, in between a mixture. */
export function mix(a: Tensor, b: Tensor, mask: Tensor): Tensor {
  assertSameShape(a, b)
  assertSameShape(a, mask)
  const data = new Float32Array(a.data.length)
  for (let i = 0; i < data.length; i++) {
    const share = mask.data[i] as number
    data[i] = (a.data[i] as number) * share + (b.data[i] as number) * (1 - share)
  }
  return { data, shape: a.shape }
}

export function isAllZero(source: Tensor): boolean {
  return source.data.every((value) => value === 0)
}
