/**
 * The layers that the networks are made of, by their names in the checkpoint.
 * Pictures are [batch, channels, height, width], tokens [batch * tokens, channels].
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Checkpoint } from '../../../models/family.ts'
import { GraphBuilder, type Value } from '../onnx/graph-builder.ts'
import {
  add,
  type ConvolutionOptions,
  cast,
  convolution,
  gelu,
  multiply,
  reshape,
  sigmoid,
  split,
  transpose,
} from '../onnx/operators.ts'
import type { BuildOptions, Dialect, NetworkGraph, Port } from './network-graph.ts'
import { convolutionInPieces, pieceCount } from './pieces.ts'
import { product } from './product.ts'
import { driveRoot } from './weight-files.ts'
import { addConvolutionBranch, addLinearBranch } from './weight-patches.ts'
import { openWeights, type Weights } from './weights.ts'
import { winogradConvolution, winogradTile } from './winograd.ts'

/** A network under construction. */
export interface Network {
  readonly graph: GraphBuilder
  readonly weights: Weights
  readonly dialect: Dialect
  /** What activations are computed in. */
  readonly type: 'float32' | 'float16'
  /** A float32 input, cast to the computing type. */
  input(name: string, shape: readonly number[]): Value
  /** A constant in the computing type. */
  constant(values: readonly number[], shape?: readonly number[]): Value
}

/** Builds a network: `build` adds inputs and layers and returns the outputs by name. */
export function buildNetwork(
  name: string,
  checkpoint: Checkpoint,
  { dialect, loras = [], weightsFolder = driveRoot(checkpoint.file.path) }: BuildOptions,
  build: (network: Network) => { readonly [output: string]: Value },
): NetworkGraph {
  const graph = new GraphBuilder(name)
  const type = dialect.compute === 'f16' ? 'float16' : 'float32'
  const strengths =
    loras.length > 0 ? graph.input('lora_strengths', 'float32', [loras.length]) : undefined
  const { file } = checkpoint
  const outputs = build({
    graph,
    weights: openWeights(graph, {
      file,
      loras,
      strengths,
      type,
      casts: dialect.casts,
      weightsFolder,
    }),
    dialect,
    type,
    input: (input, shape) => cast(graph, graph.input(input, 'float32', shape), type),
    constant: (values, shape) => cast(graph, graph.floats(values, shape), type),
  })
  for (const [output, value] of Object.entries(outputs)) {
    graph.output(output, cast(graph, value, 'float32'))
  }
  return {
    model: graph.encode(),
    weightsFolder,
    inputs: graph.inputs as readonly Port[],
    outputs: graph.outputs as readonly Port[],
  }
}

/** A linear layer on tokens; the bias is optional in the file. */
export function linear(network: Network, x: Value, name: string): Value {
  const { graph, weights } = network
  const { weight, branches } = weights.layer(`${name}.weight`, ([out = 0, into = 0]) => [out, into])
  const bias = weights.has(`${name}.bias`) ? weights.tensor(`${name}.bias`) : undefined
  const y = product(network, x, weight, bias)
  return branches.reduce((sum, branch) => addLinearBranch(graph, sum, x, branch), y)
}

/**
 * A linear layer whose outputs are gated by its other outputs: the first half times GELU of the
 * second. "GLU Variants Improve Transformer", https://arxiv.org/abs/2002.05202.
 */
export function gatedLinear(network: Network, x: Value, name: string): Value {
  const { graph, weights, dialect } = network
  const halves = [weights.parts(`${name}.weight`, 2), weights.parts(`${name}.bias`, 2)]
  const [[valueWeight, gateWeight] = [], [valueBias, gateBias] = []] = halves
  const isWhole = !valueWeight || !gateWeight || !valueBias || !gateBias
  if (dialect.activation === 'plain' || isWhole) {
    const inner = linear(network, x, name)
    const half = inner.shape[1]! / 2
    const [value, gate] = split(graph, inner, [half, half], 1) as [Value, Value]
    return multiply(graph, value, gelu(graph, gate))
  }
  // Two products, so that nobody has to take the halves of one apart; and a product with a bias
  // begins by spreading it over the whole result on one core.
  const value = product(network, x, valueWeight, valueBias)
  const gate = product(network, x, gateWeight)
  const domain = 'com.microsoft'
  return multiply(graph, value, graph.node('BiasGelu', [gate, gateBias], gate.shape, { domain }))
}

export interface ConvolveOptions extends ConvolutionOptions {
  /** What is added: the layer's own bias, nothing where the caller adds it, or [channels]. */
  readonly bias?: 'own' | 'none' | Value
}

/** A convolution; without `padding` as much on all sides as keeps the size at stride 1. */
export function convolve(
  { graph, weights, dialect }: Network,
  x: Value,
  name: string,
  { stride = 1, padding, bias = 'own' }: ConvolveOptions = {},
): Value {
  const shape = kernelShape(weights.shapeOf(`${name}.weight`))
  const [, , height, width] = shape
  const [above, left] = [height >> 1, width >> 1]
  const options = { stride, padding: padding ?? ([above, left, above, left] as const) }
  const own = () => weights.tensor(`${name}.bias`)
  const added = bias === 'own' ? own() : bias === 'none' ? undefined : bias
  const keepsSize = stride === 1 && padding === undefined
  const tile =
    dialect.convolution === 'winograd' && keepsSize ? winogradTile(x.shape, shape) : undefined
  const count = tile === undefined && dialect.casts === 'apart' ? pieceCount(x.shape, shape) : 1
  const pieces = count > 1 ? weights.parts(`${name}.weight`, count) : undefined
  if (pieces) return convolutionInPieces(graph, x, pieces, added, options)
  const { weight, branches } = weights.layer(`${name}.weight`, kernelShape)
  const y = tile
    ? winogradConvolution(graph, x, weight, added, tile)
    : convolution(graph, x, weight, added, options)
  return branches.reduce(
    (sum, branch) => addConvolutionBranch(graph, sum, x, weight.shape, options, branch),
    y,
  )
}

/** [outputs, inputs, height, width]; some files keep the kernels of 1x1 convolutions as matrices. */
function kernelShape([out = 0, into = 0, height = 1, width = 1]: readonly number[]) {
  return [out, into, height, width] as const
}

/** Stable Diffusion normalizes pictures in this many groups of channels everywhere. */
const GROUPS = 32

/**
 * Group norm, spelled with InstanceNormalization, which every provider has.
 * @throws MeshError `unsupported_model` where the channels do not divide into 32 groups.
 */
export function groupNorm(network: Network, x: Value, name: string, epsilon: number): Value {
  const { graph, weights } = network
  const [batch, channels, height, width] = x.shape as [number, number, number, number]
  if (channels % GROUPS !== 0) {
    throw new MeshError(
      'unsupported_model',
      `The ${channels} channels at ${name} do not divide into the ${GROUPS} groups that ` +
        'Stable Diffusion normalizes in. Use a Stable Diffusion 1.x checkpoint.',
    )
  }
  const grouped = reshape(graph, x, [batch, GROUPS, (channels / GROUPS) * height * width])
  const normal = graph.node(
    'InstanceNormalization',
    [grouped, network.constant(Array(GROUPS).fill(1)), network.constant(Array(GROUPS).fill(0))],
    grouped.shape,
    { attributes: { epsilon: { float: epsilon } } },
  )
  const parameter = (which: string) => weights.tensor(`${name}.${which}`, [channels, 1, 1])
  const scaled = multiply(graph, reshape(graph, normal, x.shape), parameter('weight'))
  return add(graph, scaled, parameter('bias'))
}

export function layerNorm({ graph, weights }: Network, x: Value, name: string): Value {
  const inputs = [x, weights.tensor(`${name}.weight`), weights.tensor(`${name}.bias`)]
  return graph.node('LayerNormalization', inputs, x.shape, {
    attributes: { axis: { int: -1 }, epsilon: { float: 1e-5 } },
  })
}

/** x * sigmoid(beta * x): SiLU where beta is 1, and what CLIP takes for GELU where it is 1.702. */
export function swish(network: Network, x: Value, beta = 1): Value {
  const { graph, dialect } = network
  if (dialect.activation === 'fused') {
    const attributes = { alpha: { float: beta } }
    return graph.node('QuickGelu', [x], x.shape, { domain: 'com.microsoft', attributes })
  }
  const scaled = beta === 1 ? x : multiply(graph, x, network.constant([beta], []))
  return multiply(graph, x, sigmoid(graph, scaled))
}

/** [batch, channels, height, width] to [batch * height * width, channels]. */
export function toTokens({ graph }: Network, x: Value): Value {
  const [batch, channels, height, width] = x.shape as [number, number, number, number]
  const columns = reshape(graph, x, [batch, channels, height * width])
  return reshape(graph, transpose(graph, columns, [0, 2, 1]), [batch * height * width, channels])
}

/** [batch * height * width, channels] to a picture of the given shape. */
export function toPicture({ graph }: Network, x: Value, shape: readonly number[]): Value {
  const [batch, channels, height, width] = shape as [number, number, number, number]
  const rows = reshape(graph, x, [batch, height * width, channels])
  return reshape(graph, transpose(graph, rows, [0, 2, 1]), shape)
}
