/**
 * PyTorch's CPU random generator, so that a seed means the same noise as in
 * ComfyUI: the Mersenne twister mt19937 (Matsumoto and Nishimura 1998) and the
 * two ways torch.randn makes float32 normals of its numbers.
 */

/** A seed as workflows carry it: 0 to 2^64 - 1, a bigint where a number would round it. */
export type Seed = number | bigint

const WORDS = 624
const SHIFT = 397

/** Below this count torch.randn draws one by one in float64; from it on, in blocks of 16. */
const BLOCK = 16

export interface NormalGenerator {
  /** The next `count` float32 normals, exactly where the last call left off. */
  normals(count: number): Float32Array
}

/** Seeds a generator; like torch's it takes the low 32 bits of the seed. */
export function normalGenerator(seed: Seed): NormalGenerator {
  const twister = mersenneTwister(Number(BigInt.asUintN(32, BigInt(seed))))
  const single = singleNormals(twister)
  return {
    normals(count) {
      const out = new Float32Array(count)
      if (count >= BLOCK) fillInBlocks(out, twister)
      else for (let i = 0; i < count; i++) out[i] = single()
      return out
    },
  }
}

interface MersenneTwister {
  /** The next 32 bits. */
  next(): number
  /** Float32 uniforms of the low 24 bits of the next numbers, 0 to 1, from an index on. */
  fillUniforms(out: Float32Array, from: number): void
}

function mersenneTwister(seed: number): MersenneTwister {
  const state = new Int32Array(WORDS)
  state[0] = seed
  for (let i = 1; i < WORDS; i++) {
    const last = state[i - 1] as number
    state[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i
  }
  let at = WORDS
  const renewWhenUsed = () => {
    if (at < WORDS) return
    renew(state)
    at = 0
  }
  return {
    next() {
      renewWhenUsed()
      return temper(state[at++] as number) >>> 0
    },
    fillUniforms(out, from) {
      for (let done = from; done < out.length; ) {
        renewWhenUsed()
        const count = Math.min(WORDS - at, out.length - done)
        for (let i = 0; i < count; i++) {
          out[done + i] = (temper(state[at + i] as number) & 0xffffff) / 0x1000000
        }
        done += count
        at += count
      }
    },
  }
}

function temper(word: number): number {
  let y = word
  y ^= y >>> 11
  y ^= (y << 7) & 0x9d2c5680
  y ^= (y << 15) & 0xefc60000
  return y ^ (y >>> 18)
}

function renew(state: Int32Array): void {
  for (let i = 0; i < WORDS; i++) {
    const following = state[i + 1 < WORDS ? i + 1 : 0] as number
    const partner = state[i < WORDS - SHIFT ? i + SHIFT : i + SHIFT - WORDS] as number
    const y = ((state[i] as number) & 0x80000000) | (following & 0x7fffffff)
    state[i] = partner ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
  }
}

/** torch's normal_fill: uniforms everywhere, then Box-Muller over blocks of 16. */
function fillInBlocks(out: Float32Array, twister: MersenneTwister): void {
  twister.fillUniforms(out, 0)
  const whole = out.length - (out.length % BLOCK)
  for (let at = 0; at < whole; at += BLOCK) boxMullerBlock(out, at)
  if (whole === out.length) return
  // The last 16 are drawn anew, over what the last whole block had left there.
  const tail = out.length - BLOCK
  twister.fillUniforms(out, tail)
  boxMullerBlock(out, tail)
}

const f32 = Math.fround
const TWO_PI = f32(2 * Math.PI)

/** Turns 16 uniforms into normals in place: radii from the first 8, angles from the others. */
function boxMullerBlock(values: Float32Array, at: number): void {
  for (let i = at; i < at + 8; i++) {
    const fromOne = f32(1 - (values[i] as number))
    const radius = f32(Math.sqrt(f32(-2 * f32(Math.log(fromOne)))))
    const angle = f32(TWO_PI * (values[i + 8] as number))
    values[i] = radius * f32(Math.cos(angle))
    values[i + 8] = radius * f32(Math.sin(angle))
  }
}

/** Normals one at a time in float64; every second one is kept for the next call. */
function singleNormals({ next }: MersenneTwister): () => number {
  let kept: number | undefined
  const uniform53 = (): number => {
    const high = next() & 0x1fffff
    return (high * 2 ** 32 + next()) / 2 ** 53
  }
  return () => {
    if (kept !== undefined) {
      const value = kept
      kept = undefined
      return value
    }
    const angle = 2 * Math.PI * uniform53()
    const radius = Math.sqrt(-2 * Math.log1p(-uniform53()))
    kept = radius * Math.sin(angle)
    return radius * Math.cos(angle)
  }
}
