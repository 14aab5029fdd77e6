/** Seeds are 64-bit in ComfyUI; a number of JavaScript holds 53. */
import type { JsonValue } from '@comfymesh/protocol/json'

export const MAX_SEED = 2n ** 64n - 1n

/** Short enough to be read aloud, and far more than anybody will try. */
const RANDOM_RANGE = 2 ** 32

export function randomSeed(): number {
  return Math.floor(Math.random() * RANDOM_RANGE)
}

/** The seed that a user typed, or undefined when it is none. */
export function parseSeed(text: string): JsonValue | undefined {
  const trimmed = text.trim()
  if (!/^\d{1,20}$/.test(trimmed) || BigInt(trimmed) > MAX_SEED) return undefined
  const value = BigInt(trimmed)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
}
