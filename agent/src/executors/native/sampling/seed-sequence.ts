/**
 * numpy's SeedSequence: derives independent 32-bit seeds from an entropy and a
 * path of spawn keys (O'Neill, "Developing a seed_seq Alternative", 2015).
 */
import type { Seed } from './generator.ts'

const XOR_SHIFT = 16

/** Hashes words with a running constant, as both passes of the sequence do. */
function hasher(initial: number, multiplier: number): (word: number) => number {
  let constant = initial
  return (word) => {
    const mixed = word ^ constant
    constant = Math.imul(constant, multiplier)
    const hashed = Math.imul(mixed, constant)
    return hashed ^ (hashed >>> XOR_SHIFT)
  }
}

function mixWords(a: number, b: number): number {
  const mixed = Math.imul(0xca01f9dd, a) - Math.imul(0x4973f715, b)
  return mixed ^ (mixed >>> XOR_SHIFT)
}

/** A non-negative integer as 32-bit words, the lowest first. */
function wordsOf(value: Seed): number[] {
  const words: number[] = []
  let rest = BigInt(value)
  do {
    words.push(Number(rest & 0xffffffffn))
    rest >>= 32n
  } while (rest > 0n)
  return words
}

/** The words that fill the pool: the entropy padded to the pool, then the spawn keys. */
function assemble(entropy: Seed, spawnKey: readonly Seed[], poolSize: number): number[] {
  const words = wordsOf(entropy)
  while (words.length < poolSize) words.push(0)
  return [...words, ...spawnKey.flatMap(wordsOf)]
}

/**
 * The first `count` 32-bit words of
 * `SeedSequence(entropy, spawn_key=spawnKey, pool_size=poolSize)`.
 */
export function generateState(
  entropy: Seed,
  spawnKey: readonly Seed[],
  poolSize: number,
  count: number,
): number[] {
  const words = assemble(entropy, spawnKey, poolSize)
  const hash = hasher(0x43b0d7e5, 0x931e8875)
  const pool = new Int32Array(poolSize)
  for (let i = 0; i < poolSize; i++) pool[i] = hash(words[i] as number)
  for (let from = 0; from < poolSize; from++) {
    for (let to = 0; to < poolSize; to++) {
      if (from !== to) pool[to] = mixWords(pool[to] as number, hash(pool[from] as number))
    }
  }
  for (const word of words.slice(poolSize)) {
    for (let to = 0; to < poolSize; to++) pool[to] = mixWords(pool[to] as number, hash(word))
  }
  const output = hasher(0x8b51f9dd, 0x58f38ded)
  return Array.from({ length: count }, (_, i) => output(pool[i % poolSize] as number) >>> 0)
}
