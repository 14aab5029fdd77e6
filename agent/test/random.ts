/** Chance that a seed decides, so that a run can be told again. */

export interface Chance {
  /** From 0 to 1. */
  next(): number
  /** From 0 to below this. */
  whole(below: number): number
  between(least: number, most: number): number
  pick<T>(choices: readonly T[]): T
}

export function createChance(seed: number): Chance {
  const next = randomNumbers(seed)
  const whole = (below: number) => Math.floor(next() * below)
  return {
    next,
    whole,
    between: (least, most) => least + next() * (most - least),
    pick: (choices) => choices[whole(choices.length)]!,
  }
}

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}
