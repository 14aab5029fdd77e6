/** The noise-predicting UNet of Stable Diffusion 1.x as a graph. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Checkpoint } from '../../../models/family.ts'
import type { UnetBlock, UnetConfig, UnetLayer } from '../../../models/unet-config.ts'
import type { Value } from '../onnx/graph-builder.ts'
import {
  add,
  cast,
  concatenate,
  cosine,
  multiply,
  reshape,
  resizeNearest,
  sine,
} from '../onnx/operators.ts'
import { attention } from './attention.ts'
import {
  buildNetwork,
  convolve,
  gatedLinear,
  groupNorm,
  layerNorm,
  linear,
  type Network,
  swish,
  toPicture,
  toTokens,
} from './layers.ts'
import type { BuildOptions, NetworkGraph } from './network-graph.ts'

export interface UnetShape {
  readonly batch: number
  /** Latent cells; sizes that do not halve evenly are fine. */
  readonly height: number
  readonly width: number
  /** Context tokens, a multiple of 77 for CLIP. */
  readonly tokens: number
}

/** What every layer of a UNet sees beside its picture. */
interface Surroundings {
  readonly unet: UnetConfig
  /** SiLU of the time embedding, [batch, timeWidth]. */
  readonly time: Value
  /** [batch * tokens, contextWidth] */
  readonly context: Value
}

/**
 * Inputs: `latent` [batch, channels, height, width], `timesteps` [batch], fractional allowed,
 * `context` [batch, tokens, contextWidth] and, where LoRAs are given, `lora_strengths` [loras].
 * Output: `prediction`, shaped as `latent`.
 * @throws MeshError `unsupported_model` where the checkpoint holds no UNet.
 */
export function buildUnetGraph(
  checkpoint: Checkpoint,
  { batch, height, width, tokens }: UnetShape,
  options: BuildOptions,
): NetworkGraph {
  const { unet } = checkpoint
  if (!unet) {
    throw new MeshError(
      'unsupported_model',
      `${checkpoint.file.path} has no UNet to denoise with. Load a whole checkpoint.`,
    )
  }
  return buildNetwork('unet', checkpoint, options, (network) => {
    const { graph } = network
    const latent = network.input('latent', [batch, unet.latentChannels, height, width])
    const timesteps = graph.input('timesteps', 'float32', [batch])
    const context = network.input('context', [batch, tokens, unet.contextWidth])
    const around = {
      unet,
      time: timeEmbedding(network, unet, timesteps),
      context: reshape(graph, context, [batch * tokens, unet.contextWidth]),
    }
    return { prediction: uShape(network, around, latent) }
  })
}

function uShape(network: Network, around: Surroundings, latent: Value): Value {
  const { graph } = network
  const { root, inputBlocks, middleBlock, outputBlocks } = around.unet
  const run = (block: UnetBlock, x: Value, size?: readonly number[]) =>
    block.reduce((y, layer) => layerOf(network, around, layer, y, size), x)

  let x = latent
  const skips: Value[] = []
  for (const block of inputBlocks) {
    x = run(block, x)
    skips.push(x)
  }
  x = run(middleBlock, x)
  for (const block of outputBlocks) {
    x = concatenate(graph, [x, skips.pop()!], 1)
    // Upsampling goes to the size of what comes next, which need not be twice the size.
    x = run(block, x, skips.at(-1)?.shape)
  }
  return convolve(
    network,
    swish(network, groupNorm(network, x, `${root}.out.0`, 1e-5)),
    `${root}.out.2`,
  )
}

/**
 * Sinusoids of the timestep, cosines first, then two linear layers; with the SiLU that every
 * residual block begins with. "Denoising Diffusion Probabilistic Models", appendix B.
 */
function timeEmbedding(network: Network, unet: UnetConfig, timesteps: Value): Value {
  const { graph, type } = network
  const [batch] = timesteps.shape as [number]
  const half = Math.floor(unet.modelChannels / 2)
  const frequencies = Array.from({ length: half }, (_, index) =>
    Math.exp((-Math.log(10000) * index) / half),
  )
  // In float32 whatever the network computes in: a half has no fractions left at 999.
  const angles = multiply(
    graph,
    reshape(graph, timesteps, [batch, 1]),
    graph.floats(frequencies, [1, half]),
  )
  const waves = [cosine(graph, angles), sine(graph, angles)]
  if (unet.modelChannels % 2 === 1) waves.push(graph.floats(Array(batch).fill(0), [batch, 1]))
  const embedding = cast(graph, concatenate(graph, waves, 1), type)
  const first = swish(network, linear(network, embedding, `${unet.root}.time_embed.0`))
  return swish(network, linear(network, first, `${unet.root}.time_embed.2`))
}

function layerOf(
  network: Network,
  around: Surroundings,
  layer: UnetLayer,
  x: Value,
  nextSize: readonly number[] | undefined,
): Value {
  switch (layer.kind) {
    case 'convolution':
      return convolve(network, x, layer.name)
    case 'downsample':
      return convolve(network, x, `${layer.name}.op`, { stride: 2 })
    case 'upsample': {
      const [, , height, width] = nextSize ?? x.shape.map((size) => size * 2)
      const larger = resizeNearest(network.graph, x, height!, width!)
      return convolve(network, larger, `${layer.name}.conv`)
    }
    case 'residual':
      return residual(network, around, layer, x)
    case 'transformer':
      return transformer(network, around, layer, x)
  }
}

function residual(
  network: Network,
  { time }: Surroundings,
  { name, inputChannels, channels }: Extract<UnetLayer, { kind: 'residual' }>,
  x: Value,
): Value {
  const { graph, weights } = network
  const biasOf = (layer: string) => weights.tensor(`${name}.${layer}.bias`)
  const step = (y: Value, norm: string, convolution: string, bias: 'own' | 'none') => {
    const active = swish(network, groupNorm(network, y, `${name}.${norm}`, 1e-5))
    return convolve(network, active, `${name}.${convolution}`, { bias })
  }
  // Biases join what is added anyway: alone, each would be a sum over a whole picture.
  const first = step(x, 'in_layers.0', 'in_layers.2', 'none')
  const shift = add(graph, linear(network, time, `${name}.emb_layers.1`), biasOf('in_layers.2'))
  const shifted = add(graph, first, reshape(graph, shift, [x.shape[0]!, channels, 1, 1]))
  if (inputChannels === channels) {
    return add(graph, x, step(shifted, 'out_layers.0', 'out_layers.3', 'own'))
  }
  const second = step(shifted, 'out_layers.0', 'out_layers.3', 'none')
  const bias = add(graph, biasOf('skip_connection'), biasOf('out_layers.3'))
  return add(graph, convolve(network, x, `${name}.skip_connection`, { bias }), second)
}

function transformer(
  network: Network,
  around: Surroundings,
  layer: Extract<UnetLayer, { kind: 'transformer' }>,
  x: Value,
): Value {
  const { graph } = network
  const { name, linearProjection } = layer
  const normal = groupNorm(network, x, `${name}.norm`, 1e-6)
  let tokens = linearProjection
    ? linear(network, toTokens(network, normal), `${name}.proj_in`)
    : toTokens(network, convolve(network, normal, `${name}.proj_in`))
  for (let index = 0; index < layer.depth; index++) {
    tokens = transformerBlock(network, around, layer, index, tokens)
  }
  const result = linearProjection
    ? toPicture(network, linear(network, tokens, `${name}.proj_out`), x.shape)
    : convolve(network, toPicture(network, tokens, x.shape), `${name}.proj_out`)
  return add(graph, result, x)
}

function transformerBlock(
  network: Network,
  { context, time }: Surroundings,
  layer: Extract<UnetLayer, { kind: 'transformer' }>,
  index: number,
  x: Value,
): Value {
  const { graph } = network
  const name = `${layer.name}.transformer_blocks.${index}`
  const options = { batch: time.shape[0]!, heads: layer.heads }
  const attend = (path: string, query: Value, source: Value) => {
    const [q, k, v] = [
      linear(network, query, `${path}.to_q`),
      linear(network, source, `${path}.to_k`),
      linear(network, source, `${path}.to_v`),
    ]
    return linear(network, attention(network, q, k, v, options), `${path}.to_out.0`)
  }
  const own = layerNorm(network, x, `${name}.norm1`)
  const afterOwn = add(graph, attend(`${name}.attn1`, own, own), x)
  const cross = attend(`${name}.attn2`, layerNorm(network, afterOwn, `${name}.norm2`), context)
  const afterCross = add(graph, cross, afterOwn)
  const normal = layerNorm(network, afterCross, `${name}.norm3`)
  const gated = gatedLinear(network, normal, `${name}.ff.net.0.proj`)
  return add(graph, linear(network, gated, `${name}.ff.net.2`), afterCross)
}
