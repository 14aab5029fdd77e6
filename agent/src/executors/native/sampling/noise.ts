/** The noise a sampling run starts from and the fresh noise it adds on its way. */
import { concat } from '../array/slicing.ts'
import { sizeOf } from '../array/tensor.ts'
import type { Tensor } from '../values.ts'
import { normalGenerator, type Seed } from './generator.ts'

/** Noise for the step from one sigma to the next, of the latent's shape. */
export type NoiseSampler = (sigma: number, sigmaNext: number) => Tensor

/** torch.randn of a shape from a fresh seed. */
export function normalNoise(shape: readonly number[], seed: Seed): Tensor {
  return { data: normalGenerator(seed).normals(sizeOf(shape)), shape }
}

/**
 * The noise that a latent batch starts from (ComfyUI's prepare_noise).
 * @param batchIndex which draw each batch entry gets, so that one picture of a
 *   batch can be made again alone; without it one draw covers the whole batch.
 */
export function startingNoise(
  shape: readonly number[],
  seed: Seed,
  batchIndex?: readonly number[],
): Tensor {
  if (batchIndex === undefined || batchIndex.length === 0) return normalNoise(shape, seed)
  const generator = normalGenerator(seed)
  const single = [1, ...shape.slice(1)]
  const wanted = new Map<number, Tensor>()
  const last = Math.max(...batchIndex)
  for (let draw = 0; draw <= last; draw++) {
    const data = generator.normals(sizeOf(single))
    if (batchIndex.includes(draw)) wanted.set(draw, { data, shape: single })
  }
  return concat(
    batchIndex.map((draw) => wanted.get(draw) as Tensor),
    0,
  )
}

/**
 * Independent noise for every step. On a CPU ComfyUI seeds it with the seed
 * plus one, so that it does not repeat the starting noise.
 */
export function independentNoise(shape: readonly number[], seed: Seed): NoiseSampler {
  const generator = normalGenerator(BigInt(seed) + 1n)
  const size = sizeOf(shape)
  return () => ({ data: generator.normals(size), shape })
}
