/** An autoencoder without a network: its latents are the pixels, from -1 to 1 (ComfyUI's `pixel_space`). */
import type { Autoencoder } from '../models.ts'
import type { Tensor } from '../values.ts'

export const pixelSpace: Autoencoder = {
  downscale: 1,
  latentChannels: 3,
  decode: async ({ data, shape }) => {
    const [batch, channels, height, width] = shape as [number, number, number, number]
    const pixels = swapAxes(data, [batch, channels, height * width], (value) => (value + 1) / 2)
    return { data: pixels, shape: [batch, height, width, channels] }
  },
  encode: async ({ data, shape }: Tensor) => {
    const [batch, height, width, channels] = shape as [number, number, number, number]
    const samples = swapAxes(data, [batch, height * width, channels], (value) => value * 2 - 1)
    return { data: samples, shape: [batch, channels, height, width] }
  },
}

/** [count, rows, columns] to [count, columns, rows], `each` of the values. */
function swapAxes(
  values: Float32Array,
  [count, rows, columns]: readonly [number, number, number],
  each: (value: number) => number,
): Float32Array {
  const swapped = new Float32Array(values.length)
  let from = 0
  for (let entry = 0; entry < count; entry++) {
    const start = entry * rows * columns
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        swapped[start + column * rows + row] = each(values[from++] as number)
      }
    }
  }
  return swapped
}
