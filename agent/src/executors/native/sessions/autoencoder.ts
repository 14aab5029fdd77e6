/** The image autoencoder over sessions, one picture at a time: batches gain nothing here. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { VaeConfig } from '../../../models/vae-config.ts'
import { buildDecoderGraph, buildEncoderGraph } from '../graphs/autoencoder.ts'
import type { Autoencoder } from '../models.ts'
import type { Tensor } from '../values.ts'
import { type BatchLimits, runInParts, takePart } from './batches.ts'
import { autoencoderBytes } from './memory.ts'
import { type NetworkModules, type NetworkRun, openNetwork } from './network-runner.ts'

/** @throws MeshError `unsupported_model` where the file holds no autoencoder. */
export async function openAutoencoder(modules: NetworkModules, path: string): Promise<Autoencoder> {
  const network = await openNetwork(modules, path)
  const { checkpoint } = network
  const config = checkpoint.vae
  if (config === undefined) {
    const message = `The file ${path} holds no image autoencoder. Choose a checkpoint or VAE file.`
    throw new MeshError('unsupported_model', message, { details: { path } })
  }
  const { downscale, latentChannels } = config

  /** Runs each entry of a batch through a graph of batch 1. */
  const runEach = (
    batch: Tensor,
    [height, width]: readonly [number, number],
    direction: Pick<NetworkRun, 'graphKey' | 'build'> & {
      readonly input: string
      readonly output: string
    },
  ): Promise<Tensor> => {
    const limits: BatchLimits = new Map()
    const total = batch.shape[0] ?? 1
    const plan = { total, limits, limitKey: direction.graphKey, expectedLimit: 1 }
    return runInParts(plan, async (part) => {
      const outputs = await network.run({
        graphKey: `${direction.graphKey} ${height}x${width}`,
        peakBytes: autoencoderBytes(config, { height, width }),
        build: direction.build,
        feeds: { [direction.input]: takePart(batch, part) },
      })
      return outputs[direction.output]!
    })
  }

  return {
    downscale,
    latentChannels,
    decode: (samples) => {
      requireHalf(config, 'decoder', path)
      const [, , height = 1, width = 1] = samples.shape
      return runEach(samples, [height, width], {
        graphKey: 'decoder',
        input: 'latent',
        output: 'pixels',
        build: (options) => buildDecoderGraph(checkpoint, { batch: 1, height, width }, options),
      })
    },
    encode: (pixels) => {
      requireHalf(config, 'encoder', path)
      const [, pixelHeight = downscale, pixelWidth = downscale] = pixels.shape
      const [height, width] = [pixelHeight / downscale, pixelWidth / downscale]
      return runEach(pixels, [height, width], {
        graphKey: 'encoder',
        input: 'pixels',
        output: 'latent',
        build: (options) => buildEncoderGraph(checkpoint, { batch: 1, height, width }, options),
      })
    },
  }
}

function requireHalf(config: VaeConfig, half: 'decoder' | 'encoder', path: string): void {
  if (config[half] !== undefined) return
  const message = `The autoencoder in ${path} has no ${half}. Choose another VAE.`
  throw new MeshError('unsupported_model', message, { details: { path } })
}
