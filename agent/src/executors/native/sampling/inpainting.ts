/**
 * Sampling inside a mask: before every evaluation the rest of the latent is set
 * to the original under noise of the step, after it to the original itself
 * (ComfyUI's KSamplerX0Inpaint).
 */
import { mix } from '../array/arithmetic.ts'
import type { Tensor } from '../values.ts'
import type { GuidedModel } from './guidance.ts'

export interface Inpainting {
  /** Of the latent's shape; 1 where the sampler is free. */
  readonly mask: Tensor
  /** The latent to keep, scaled as the model knows it. */
  readonly original: Tensor
  /** Unit noise that is put on the original. */
  readonly noise: Tensor
}

export function inpaintedModel(model: GuidedModel, inpainting: Inpainting): GuidedModel {
  const { mask, original } = inpainting
  return {
    async denoise(x, sigma) {
      const denoised = await model.denoise(withOriginal(x, sigma, inpainting), sigma)
      return mix(denoised, original, mask)
    },
    async denoiseApart(x, sigma) {
      const answer = await model.denoiseApart(withOriginal(x, sigma, inpainting), sigma)
      return { ...answer, denoised: mix(answer.denoised, original, mask) }
    },
  }
}

function withOriginal(x: Tensor, sigma: number, { mask, original, noise }: Inpainting): Tensor {
  const data = new Float32Array(x.data.length)
  for (let i = 0; i < data.length; i++) {
    const free = mask.data[i] as number
    const kept = (noise.data[i] as number) * sigma + (original.data[i] as number)
    data[i] = (x.data[i] as number) * free + kept * (1 - free)
  }
  return { data, shape: x.shape }
}
