/** Writes a random checkpoint of Stable Diffusion 1.5's names and shapes, 2 GB in half precision. */
import { randomFillSync, randomInt } from 'node:crypto'
import { open } from 'node:fs/promises'
import { fullCheckpoint } from '../models/full-size-shapes.ts'

/** Prime, so that no two rows of a matrix begin at the same place of it. */
const POOL_LENGTH = 1_000_003

/** Of uniform values in [2^e, 2^(e+1)), in units of 2^e. */
const ROOT_MEAN_SQUARE = Math.sqrt(7 / 3)

const EXPONENT_BIAS = 15
const ONE = EXPONENT_BIAS << 10

/**
 * Weights keep the size of what passes through them, so that the outputs are finite and
 * the numbers are of the kind that real models compute with; what is drawn is noise.
 */
export async function writeFullSizeCheckpoint(path: string): Promise<void> {
  const header: { [name: string]: unknown } = {}
  let end = 0
  for (const [name, shape] of Object.entries(fullCheckpoint)) {
    const begin = end
    end += 2 * count(shape)
    header[name] = { dtype: 'F16', shape, data_offsets: [begin, end] }
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  const file = await open(path, 'wx')
  try {
    await file.writev([length, text])
    const noise = halfPrecisionNoise()
    for (const [name, shape] of Object.entries(fullCheckpoint)) {
      await file.write(Buffer.from(weights(name, shape, noise).buffer))
    }
  } finally {
    await file.close()
  }
}

/** Random half-precision numbers, as bits: +-2^e to +-2^(e+1), for a biased exponent e. */
type Noise = (exponent: number) => Uint16Array

function halfPrecisionNoise(): Noise {
  const random = randomFillSync(new Uint16Array(POOL_LENGTH))
  const made = new Map<number, Uint16Array>()
  return (exponent) => {
    const pool = made.get(exponent) ?? random.map((bits) => (bits & 0x83ff) | (exponent << 10))
    made.set(exponent, pool)
    return pool
  }
}

function weights(name: string, shape: readonly number[], noise: Noise): Uint16Array {
  const values = new Uint16Array(count(shape))
  if (name.endsWith('.bias') || name.endsWith('position_ids')) return values
  if (shape.length === 1) return values.fill(ONE)
  const deviation = name.includes('embedding') ? 0.05 : Math.sqrt(shape[0]! / count(shape))
  const pool = noise(Math.floor(Math.log2(deviation / ROOT_MEAN_SQUARE)) + EXPONENT_BIAS)
  // Each tensor begins elsewhere in the pool.
  let from = randomInt(POOL_LENGTH)
  for (let at = 0; at < values.length; ) {
    const part = pool.subarray(from, from + values.length - at)
    values.set(part, at)
    at += part.length
    from = 0
  }
  return values
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}
