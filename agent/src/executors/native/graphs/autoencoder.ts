/** Both halves of the image autoencoder (ldm's AutoencoderKL) as graphs. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Checkpoint } from '../../../models/family.ts'
import type { VaeLayer } from '../../../models/vae-config.ts'
import type { Value } from '../onnx/graph-builder.ts'
import { add, multiply, resizeNearest, split, subtract, transpose } from '../onnx/operators.ts'
import { attention } from './attention.ts'
import {
  buildNetwork,
  convolve,
  groupNorm,
  linear,
  type Network,
  swish,
  toPicture,
  toTokens,
} from './layers.ts'
import type { BuildOptions, NetworkGraph } from './network-graph.ts'

export interface AutoencoderShape {
  readonly batch: number
  /** Latent cells, for the encoder too. */
  readonly height: number
  readonly width: number
}

/**
 * Input: `latent` [batch, channels, height, width], unscaled as ComfyUI's LATENT.
 * Output: `pixels` [batch, height * downscale, width * downscale, 3], 0..1 but not clamped:
 * tiles are averaged first.
 * The latent scale (0.18215) is the caller's, on the UNet's side.
 * @throws MeshError `unsupported_model` where the file holds no decoder.
 */
export function buildDecoderGraph(
  checkpoint: Checkpoint,
  { batch, height, width }: AutoencoderShape,
  options: BuildOptions,
): NetworkGraph {
  const decoder = checkpoint.vae?.decoder ?? fail(checkpoint, 'decoder')
  return buildNetwork('autoencoder decoder', checkpoint, options, (network) => {
    const { graph } = network
    const latent = network.input('latent', [batch, checkpoint.vae!.latentChannels, height, width])
    const picture = decoder.reduce((x, layer) => layerOf(network, layer, x), latent)
    // The network speaks of -1..1.
    const half = network.constant([0.5], [])
    const positive = add(graph, multiply(graph, picture, half), half)
    return { pixels: transpose(graph, positive, [0, 2, 3, 1]) }
  })
}

/**
 * Input: `pixels` [batch, height * downscale, width * downscale, 3], 0..1.
 * Output: `latent` [batch, channels, height, width], the posterior's mean as ComfyUI takes it.
 * @throws MeshError `unsupported_model` where the file holds no encoder.
 */
export function buildEncoderGraph(
  checkpoint: Checkpoint,
  { batch, height, width }: AutoencoderShape,
  options: BuildOptions,
): NetworkGraph {
  const encoder = checkpoint.vae?.encoder ?? fail(checkpoint, 'encoder')
  return buildNetwork('autoencoder encoder', checkpoint, options, (network) => {
    const { graph } = network
    const { downscale, latentChannels } = checkpoint.vae!
    const pixels = network.input('pixels', [batch, height * downscale, width * downscale, 3])
    const doubled = multiply(graph, pixels, network.constant([2], []))
    const picture = subtract(graph, doubled, network.constant([1], []))
    const moments = encoder.reduce(
      (x, layer) => layerOf(network, layer, x),
      transpose(graph, picture, [0, 3, 1, 2]),
    )
    const [mean] = split(graph, moments, [latentChannels, moments.shape[1]! - latentChannels], 1)
    return { latent: mean! }
  })
}

function fail(checkpoint: Checkpoint, half: string): never {
  throw new MeshError(
    'unsupported_model',
    `${checkpoint.file.path} has no autoencoder with ${half === 'encoder' ? 'an' : 'a'} ${half}. ` +
      'Load a whole checkpoint, or a VAE with VAELoader.',
  )
}

/** Of every norm in the autoencoder. */
const EPSILON = 1e-6

function layerOf(network: Network, layer: VaeLayer, x: Value): Value {
  const { graph } = network
  const { name } = layer
  switch (layer.kind) {
    case 'convolution':
      return convolve(network, x, name)
    case 'downsample':
      // Only below and to the right, as the network was trained.
      return convolve(network, x, `${name}.conv`, { stride: 2, padding: [0, 0, 1, 1] })
    case 'upsample': {
      const [, , height, width] = x.shape as [number, number, number, number]
      return convolve(network, resizeNearest(graph, x, height * 2, width * 2), `${name}.conv`)
    }
    case 'norm':
      return swish(network, groupNorm(network, x, name, EPSILON))
    case 'residual':
      return residual(network, layer, x)
    case 'attention':
      return selfAttention(network, name, x)
  }
}

function residual(
  network: Network,
  { name, inputChannels, channels }: Extract<VaeLayer, { kind: 'residual' }>,
  x: Value,
): Value {
  const { graph } = network
  const step = (y: Value, index: number) =>
    convolve(
      network,
      swish(network, groupNorm(network, y, `${name}.norm${index}`, EPSILON)),
      `${name}.conv${index}`,
    )
  const straight = inputChannels === channels ? x : convolve(network, x, `${name}.nin_shortcut`)
  return add(graph, straight, step(step(x, 1), 2))
}

/** One head over all cells; the 1x1 convolutions of the file are linear layers here. */
function selfAttention(network: Network, name: string, x: Value): Value {
  const source = toTokens(network, groupNorm(network, x, `${name}.norm`, EPSILON))
  const [q, k, v] = ['q', 'k', 'v'].map((part) => linear(network, source, `${name}.${part}`)) as [
    Value,
    Value,
    Value,
  ]
  const mixed = attention(network, q, k, v, { batch: x.shape[0]!, heads: 1 })
  const result = linear(network, mixed, `${name}.proj_out`)
  return add(network.graph, x, toPicture(network, result, x.shape))
}
