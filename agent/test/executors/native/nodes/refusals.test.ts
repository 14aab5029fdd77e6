/** What the nodes of pictures and latents refuse, and in which words. */
import t from 'tap'
import { zeros } from '../../../../src/executors/native/array/tensor.ts'
import { nodeRows } from '../../../../src/executors/native/nodes/index.ts'
import type { Tensor } from '../../../../src/executors/native/values.ts'
import { idleContext } from './node-goldens.ts'

const picture = (batch: number, height = 6, width = 5, channels = 3): Tensor =>
  zeros([batch, height, width, channels])

const latent = (batch: number, height = 9, width = 9) => ({
  samples: zeros([batch, 4, height, width]),
})

const refusals: readonly [node: string, inputs: object, message: RegExp][] = [
  [
    'ImageScaleBy',
    { image: picture(1), upscale_method: 'area', scale_by: 0.01 },
    /cannot be resized to 0x0/,
  ],
  [
    'ImageScaleBy',
    { image: picture(1), upscale_method: 'lanczos', scale_by: 0.1 },
    /cannot be resized to 0x1/,
  ],
  [
    'LatentUpscaleBy',
    { samples: latent(1), upscale_method: 'bislerp', scale_by: 0.01 },
    /cannot be resized to 0x0/,
  ],
  ['ImageBlur', { image: picture(1), blur_radius: 5, sigma: 1 }, /5x6: choose a smaller radius/],
  ['ImageSharpen', { image: picture(1), sharpen_radius: 9, sigma: 1, alpha: 1 }, /radius of 9/],
  [
    'ImageBlend',
    { image1: picture(2), image2: picture(3), blend_factor: 0.5, blend_mode: 'normal' },
    /Batches of 2 and 3 pictures/,
  ],
  ['ImageQuantize', { image: picture(1, 2, 2, 4), colors: 2, dither: 'none' }, /Only RGB/],
  ['ImageBatch', { image1: picture(1, 2, 2, 1), image2: picture(1) }, /1 and 3 channels/],
  ['ImageToMask', { image: picture(1), channel: 'alpha' }, /no alpha channel; LoadImage/],
  ['LatentCrop', { samples: latent(1, 7, 20), width: 64, height: 64, x: 0, y: 0 }, /64x64/],
  [
    'LatentComposite',
    { samples_to: latent(3), samples_from: latent(2), x: 0, y: 0, feather: 0 },
    /2 latents cannot be laid on 3/,
  ],
  [
    'LatentBlend',
    { samples1: latent(3), samples2: latent(2), blend_factor: 0.5 },
    /Batches of 3 and 2 latents/,
  ],
]

for (const [node, inputs, message] of refusals) {
  t.test(`${node}: ${message.source}`, async (t) => {
    const run = nodeRows.get(node)!.run(inputs as { [name: string]: unknown }, idleContext)
    await t.rejects(run, { code: 'node_failed', message })
  })
}
