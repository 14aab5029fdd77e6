/** The noise-predicting UNet over a session; what is done with its predictions is sampling/'s business. */
import { MeshError } from '@comfymesh/protocol/errors'
import { buildUnetGraph } from '../graphs/unet.ts'
import type { Denoiser } from '../models.ts'
import type { ModelHandle, Tensor } from '../values.ts'
import { type BatchLimits, runInParts, takePart } from './batches.ts'
import { unetBytes } from './memory.ts'
import { type NetworkModules, openNetwork } from './network-runner.ts'

/**
 * A linear fit of SD 1.x latents to RGB, found by Kevin Turner in 2022 and used for
 * previews ever since ("Decoding latents to RGB without upscaling", discuss.huggingface.co);
 * his result runs from -1 to 1, ours from 0 to 1.
 */
const SD1_LATENT_RGB: Denoiser['latentRgb'] = {
  factors: [
    [0.149, 0.1035, 0.104],
    [0.0935, 0.143, 0.0865],
    [-0.079, 0.0945, 0.132],
    [-0.092, -0.1355, -0.2365],
  ],
  bias: [0.5, 0.5, 0.5],
}

/** @throws MeshError `unsupported_model` where the file holds no UNet. */
export async function openDenoiser(
  modules: NetworkModules,
  limits: BatchLimits,
  { path, loras }: ModelHandle,
): Promise<Denoiser> {
  const network = await openNetwork(modules, path, {
    loras,
    halfPrecision: true,
    fastConvolution: true,
  })
  const { checkpoint } = network
  const config = checkpoint.unet
  if (config === undefined) {
    const message = `The file ${path} holds no diffusion model. Choose a full checkpoint.`
    throw new MeshError('unsupported_model', message, { details: { path } })
  }

  const bytesFor = unetBytes(checkpoint.file, config)
  return {
    prediction: checkpoint.prediction,
    contextWidth: config.contextWidth,
    latentChannels: config.latentChannels,
    latentScale: checkpoint.latentScale,
    latentRgb: checkpoint.latentRgb ?? SD1_LATENT_RGB,
    predict: async (x, timesteps, context) => {
      const [total = 1, , height = 1, width = 1] = x.shape
      const tokens = context.shape[1] ?? 1
      const cost = (batch: number): number => bytesFor({ batch, height, width })
      const plan = {
        total,
        limits,
        limitKey: `${path} unet ${height}x${width}`,
        expectedLimit: largestFitting(total, cost, modules.budgetBytes),
      }
      const times: Tensor = { data: Float32Array.from(timesteps), shape: [total] }
      return runInParts(plan, async (part) => {
        const batch = part.size
        const shape = { batch, height, width, tokens }
        const { prediction } = await network.run({
          graphKey: `unet, ${batch}x${height}x${width}, ${tokens} tokens`,
          peakBytes: cost(batch),
          build: (options) => buildUnetGraph(checkpoint, shape, options),
          feeds: {
            latent: takePart(x, part),
            timesteps: takePart(times, part),
            context: takePart(context, part),
          },
        })
        return prediction!
      })
    },
  }
}

/** The largest batch up to `total` whose cost fits the budget, and 1 if none does. */
function largestFitting(
  total: number,
  cost: (batch: number) => number,
  budgetBytes: number,
): number {
  let batch = total
  while (batch > 1 && cost(batch) > budgetBytes) batch--
  return batch
}
