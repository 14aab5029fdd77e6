/**
 * Noise for stochastic solvers as increments of one Brownian path, so that the
 * noise between two sigmas does not depend on the steps in between. Reproduces
 * torchsde's BrownianTree (Li et al. 2020; Kidger et al. 2021): a binary tree
 * of halved intervals, each with its own seed, resolved to a millionth.
 */
import { addInPlace, map } from '../array/arithmetic.ts'
import { copyOf, sizeOf, zeros } from '../array/tensor.ts'
import type { Tensor } from '../values.ts'
import { normalGenerator, type Seed } from './generator.ts'
import type { NoiseSampler } from './noise.ts'
import { generateState } from './seed-sequence.ts'

const f32 = Math.fround

/** Words of entropy per interval; torchsde's BrownianTree has this default. */
const POOL_SIZE = 24

/** Increments kept: the paths to the ends of two neighbouring steps, 24 halvings deep each. */
const KEPT_SPLITS = 48

interface Interval {
  readonly start: number
  readonly end: number
  readonly parent: Interval | undefined
  /** Position among the intervals of its depth, which seeds its noise. */
  readonly position: number
  readonly depth: number
  halves?: readonly [Interval, Interval]
}

type Halves = readonly [left: Tensor, right: Tensor]

/** The increment of the path between two times, start before end. */
export type BrownianPath = (start: number, end: number) => Tensor

/** A Brownian path over [start, end] fixed by its seed; times beyond are moved to its ends. */
export function brownianPath(
  shape: readonly number[],
  start: number,
  end: number,
  seed: Seed,
): BrownianPath {
  const root: Interval = {
    start: roundToMillionth(start),
    end: roundToMillionth(end),
    parent: undefined,
    position: 0,
    depth: 0,
  }
  const rootSeed = generateState(seed, [], POOL_SIZE, 1)[0] as number
  const deviation = f32(Math.sqrt(end - start))
  const whole = map(noise(shape, rootSeed), (value) => value * deviation)
  const increment = incrementOf(shape, whole, seed)
  const inside = (time: number) => roundToMillionth(Math.min(root.end, Math.max(root.start, time)))
  return (from, to) => {
    const parts: Interval[] = []
    cover(root, inside(from), inside(to), parts)
    return sumOf(parts.map(increment), shape)
  }
}

/**
 * Unit noise between sigmas, as k-diffusion's BrownianTreeNoiseSampler draws it.
 * @param sigmaMin the smallest positive sigma of the schedule; `sigmaMax` its largest.
 */
export function brownianNoise(
  shape: readonly number[],
  sigmaMin: number,
  sigmaMax: number,
  seed: Seed,
): NoiseSampler {
  const path = brownianPath(shape, sigmaMin, sigmaMax, seed)
  return (sigma, sigmaNext) => {
    const falling = sigmaNext < sigma
    const increment = falling ? path(sigmaNext, sigma) : path(sigma, sigmaNext)
    const deviation = f32(Math.sqrt(f32(Math.abs(f32(sigmaNext - sigma)))))
    const signed = falling ? -deviation : deviation
    return map(increment, (value) => value / signed)
  }
}

/** The fewest intervals of the tree that cover [from, to], halving where needed. */
function cover(interval: Interval, from: number, to: number, parts: Interval[]): void {
  if (from >= to) return
  if (from === interval.start && to === interval.end) {
    parts.push(interval)
    return
  }
  interval.halves ??= halve(interval)
  const [left, right] = interval.halves
  if (from < left.end) cover(left, from, Math.min(to, left.end), parts)
  if (to > right.start) cover(right, Math.max(from, right.start), to, parts)
}

function halve(interval: Interval): readonly [Interval, Interval] {
  const { start, end, position, depth } = interval
  const middle = roundToMillionth(0.5 * (end + start))
  const below = { parent: interval, depth: depth + 1 }
  return [
    { ...below, start, end: middle, position: 2 * position },
    { ...below, start: middle, end, position: 2 * position + 1 },
  ]
}

/** Computes increments down from the root's, keeping those used last. */
function incrementOf(shape: readonly number[], whole: Tensor, seed: Seed) {
  const kept = new Map<Interval, Halves>()
  const halvesOf = (interval: Interval): Halves => {
    const known = kept.get(interval)
    const halves = known ?? bridge(shape, interval, increment(interval), seed)
    kept.delete(interval)
    kept.set(interval, halves)
    if (kept.size > KEPT_SPLITS) kept.delete(kept.keys().next().value as Interval)
    return halves
  }
  const increment = (interval: Interval): Tensor => {
    const { parent } = interval
    if (parent === undefined) return whole
    return halvesOf(parent)[interval === parent.halves?.[0] ? 0 : 1]
  }
  return increment
}

/** Splits an interval's increment in two by a Brownian bridge. */
function bridge(shape: readonly number[], interval: Interval, whole: Tensor, seed: Seed): Halves {
  const [left, right] = interval.halves as readonly [Interval, Interval]
  const perLength = 1 / (interval.end - interval.start)
  const leftLength = left.end - left.start
  const rightLength = right.end - right.start
  const spawnKey = [interval.position, interval.depth]
  const ownSeed = generateState(seed, spawnKey, POOL_SIZE, 1)[0] as number
  const deviation = f32(Math.sqrt(leftLength * rightLength * perLength))
  const [share, scale] = [f32(leftLength), f32(perLength)]
  const first = noise(shape, ownSeed)
  const second = new Float32Array(first.data.length)
  for (let i = 0; i < second.length; i++) {
    const total = whole.data[i] as number
    const mean = f32(f32(share * total) * scale)
    const value = f32(mean + f32((first.data[i] as number) * deviation))
    first.data[i] = value
    second[i] = total - value
  }
  return [first, { data: second, shape }]
}

function noise(shape: readonly number[], seed: number): Tensor {
  return { data: normalGenerator(seed).normals(sizeOf(shape)), shape }
}

function sumOf(increments: readonly Tensor[], shape: readonly number[]): Tensor {
  const [first, ...rest] = increments
  if (first === undefined) return zeros(shape)
  if (rest.length === 0) return first
  const sum = copyOf(first)
  for (const increment of rest) addInPlace(sum, increment)
  return sum
}

/** Python's round(x, 6): to the nearest millionth, ties to the even one. */
export function roundToMillionth(value: number): number {
  // Only odd multiples of 1/128 lie exactly between two millionths in binary.
  const in128ths = value * 128
  if (Number.isInteger(in128ths) && in128ths % 2 !== 0) {
    const below = Math.floor(in128ths * 7812.5)
    return (below % 2 === 0 ? below : below + 1) / 1e6
  }
  return Number(value.toFixed(6))
}
