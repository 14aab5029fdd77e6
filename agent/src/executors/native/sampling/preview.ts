/** What a latent on its way looks like, one pixel a cell. */
import type { Denoiser } from '../models.ts'
import type { Image, Tensor } from '../values.ts'

/**
 * The first latent of a batch as a small picture.
 * @param denoised [batch, channels, height, width], scaled as the model knows it.
 * @returns [1, height, width, 3], 0 to 1.
 */
export function latentToRgb(denoised: Tensor, { factors, bias }: Denoiser['latentRgb']): Image {
  const [, channels, height, width] = denoised.shape as [number, number, number, number]
  const cells = height * width
  const data = new Float32Array(cells * 3)
  for (let color = 0; color < 3; color++) {
    for (let cell = 0; cell < cells; cell++) {
      let value = bias[color] as number
      for (let channel = 0; channel < channels; channel++) {
        const factor = factors[channel]?.[color] ?? 0
        value += factor * (denoised.data[channel * cells + cell] as number)
      }
      data[cell * 3 + color] = Math.min(1, Math.max(0, value))
    }
  }
  return { data, shape: [1, height, width, 3] }
}
