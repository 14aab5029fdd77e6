/**
 * The UNet of a latent diffusion checkpoint, block by block as its tensor names tell,
 * in the layout of Stable Diffusion's original code (`input_blocks.1.0.in_layers.0.weight`).
 */
import { MeshError } from '@comfymesh/protocol/errors'
import { malformedFile, type Safetensors } from './safetensors.ts'
import { missingTensors, type TensorTree } from './tensor-tree.ts'

/** `name` is the layer's path in the file, without a final dot. */
export type UnetLayer =
  | { readonly kind: 'convolution'; readonly name: string; readonly channels: number }
  | {
      readonly kind: 'residual'
      readonly name: string
      readonly inputChannels: number
      readonly channels: number
    }
  | {
      readonly kind: 'transformer'
      readonly name: string
      readonly channels: number
      readonly depth: number
      readonly heads: number
      /** proj_in and proj_out are linear layers rather than 1x1 convolutions. */
      readonly linearProjection: boolean
    }
  | { readonly kind: 'downsample'; readonly name: string; readonly channels: number }
  | { readonly kind: 'upsample'; readonly name: string; readonly channels: number }

export type UnetBlock = readonly UnetLayer[]

export interface UnetConfig {
  /** Path of the network in the file, e.g. `model.diffusion_model`. */
  readonly root: string
  /** Width of the sinusoidal time embedding. */
  readonly modelChannels: number
  /** Width of the vector that every residual block gets. */
  readonly timeWidth: number
  readonly latentChannels: number
  readonly contextWidth: number
  /** By how much the sides of a latent are divided on the way down, e.g. 8. */
  readonly downscale: number
  readonly inputBlocks: readonly UnetBlock[]
  readonly middleBlock: UnetBlock
  /** Each takes one of the input blocks' outputs, last first. */
  readonly outputBlocks: readonly UnetBlock[]
}

/** Heads are in no shape: Stable Diffusion 1.x has eight at every level ... */
const HEADS = 8
/** ... and 2.x, known by its linear projections, heads of this width. */
const LINEAR_HEAD_WIDTH = 64

/**
 * @throws MeshError `malformed_file` where tensors are missing or do not fit each other,
 *   `unsupported_model` where the network takes or returns something else than latents.
 */
export function readUnetConfig(file: Safetensors, tree: TensorTree, root: string): UnetConfig {
  const block = (path: string) =>
    tree
      .children(path)
      .map(Number)
      .sort((a, b) => a - b)
      .map((index) => readLayer(file, tree, `${path}.${index}`))
  const blocks = (path: string) =>
    Array.from({ length: tree.count(path) }, (_, index) => block(`${path}.${index}`))

  const inputBlocks = blocks(`${root}.input_blocks`)
  const middleBlock = block(`${root}.middle_block`)
  const outputBlocks = blocks(`${root}.output_blocks`)
  if (middleBlock.length === 0) throw missingTensors(file, [`${root}.middle_block.*`])
  if (inputBlocks.length !== outputBlocks.length) {
    const [fewer, name] =
      inputBlocks.length < outputBlocks.length
        ? [inputBlocks, 'input_blocks']
        : [outputBlocks, 'output_blocks']
    throw missingTensors(file, [`${root}.${name}.${fewer.length}.*`])
  }
  const [timeWidth, modelChannels] = tree.shape(`${root}.time_embed.0.weight`, 2)
  const layers = [...inputBlocks, middleBlock, ...outputBlocks].flat()
  return {
    root,
    modelChannels: modelChannels!,
    timeWidth: timeWidth!,
    latentChannels: readLatentChannels(file, tree, root),
    contextWidth: readContextWidth(tree, layers),
    downscale: 2 ** inputBlocks.flat().filter(({ kind }) => kind === 'downsample').length,
    inputBlocks,
    middleBlock,
    outputBlocks,
  }
}

function readLayer(file: Safetensors, tree: TensorTree, name: string): UnetLayer {
  if (tree.has(`${name}.in_layers`)) {
    const [channels, inputChannels] = tree.shape(`${name}.in_layers.2.weight`, 4)
    return { kind: 'residual', name, inputChannels: inputChannels!, channels: channels! }
  }
  if (tree.has(`${name}.transformer_blocks`)) return readTransformer(file, tree, name)
  if (tree.has(`${name}.op`)) {
    return { kind: 'downsample', name, channels: tree.shape(`${name}.op.weight`, 4)[0]! }
  }
  if (tree.has(`${name}.conv`)) {
    return { kind: 'upsample', name, channels: tree.shape(`${name}.conv.weight`, 4)[0]! }
  }
  if (tree.has(`${name}.weight`) || tree.has(`${name}.bias`)) {
    return { kind: 'convolution', name, channels: tree.shape(`${name}.weight`, 4)[0]! }
  }
  throw new MeshError(
    'unsupported_model',
    `${file.path} has a kind of UNet layer at ${name} that Stable Diffusion 1.x does not have ` +
      `(${tree.children(name).join(', ')}). Use a Stable Diffusion 1.x checkpoint.`,
    { details: { path: file.path } },
  )
}

function readTransformer(file: Safetensors, tree: TensorTree, name: string): UnetLayer {
  const channels = tree.shape(`${name}.norm.weight`, 1)[0]!
  const linearProjection = file.tensors.get(`${name}.proj_in.weight`)?.shape.length === 2
  const heads = linearProjection ? channels / LINEAR_HEAD_WIDTH : HEADS
  if (!Number.isInteger(heads) || channels % heads !== 0) {
    throw malformedFile(
      file.path,
      `the ${channels} channels of ${name} do not divide into ` +
        (linearProjection ? `heads of ${LINEAR_HEAD_WIDTH}` : `${HEADS} heads`),
    )
  }
  const depth = tree.count(`${name}.transformer_blocks`)
  return { kind: 'transformer', name, channels, depth, heads, linearProjection }
}

function readContextWidth(tree: TensorTree, layers: readonly UnetLayer[]): number {
  const transformer = layers.find(({ kind }) => kind === 'transformer')
  if (!transformer) return 0
  return tree.shape(`${transformer.name}.transformer_blocks.0.attn2.to_k.weight`, 2)[1]!
}

/** Networks whose input is a latent with something else beside it, by its channels. */
const otherInputs: { readonly [channels: number]: string } = {
  5: 'a depth-guided model (latent and depth)',
  7: 'a 4x upscaling model (latent and picture)',
  8: 'an InstructPix2Pix model (latent and picture)',
  9: 'an inpainting model (latent, mask and masked latent)',
}

function readLatentChannels(file: Safetensors, tree: TensorTree, root: string): number {
  const input = tree.shape(`${root}.input_blocks.0.0.weight`, 4)[1]!
  const output = tree.shape(`${root}.out.2.weight`, 4)[0]!
  if (input === output) return input
  const kind = otherInputs[input] ?? `a UNet that makes ${output} channels of ${input}`
  throw new MeshError(
    'unsupported_model',
    `${file.path} is ${kind}, which cannot run here yet. Use a plain Stable Diffusion 1.x checkpoint.`,
    { details: { path: file.path, inputChannels: input } },
  )
}

/** Every tensor that the network needs, with the shape it must have. */
export function* unetTensors(unet: UnetConfig): Generator<[name: string, shape: number[]]> {
  const { root, modelChannels, timeWidth, latentChannels } = unet
  yield* linear(`${root}.time_embed.0`, modelChannels, timeWidth)
  yield* linear(`${root}.time_embed.2`, timeWidth, timeWidth)
  let channels = latentChannels
  const skips: number[] = []
  for (const block of unet.inputBlocks) {
    for (const layer of block) yield* layerTensors(unet, layer, channels)
    channels = block.at(-1)?.channels ?? channels
    skips.push(channels)
  }
  for (const layer of unet.middleBlock) {
    yield* layerTensors(unet, layer, channels)
    channels = layer.channels
  }
  for (const block of unet.outputBlocks) {
    channels += skips.pop()!
    for (const layer of block) {
      yield* layerTensors(unet, layer, channels)
      channels = layer.channels
    }
  }
  yield* norm(`${root}.out.0`, channels)
  yield* convolution(`${root}.out.2`, channels, latentChannels, 3)
}

function* layerTensors(unet: UnetConfig, layer: UnetLayer, inputChannels: number) {
  const { name, channels } = layer
  switch (layer.kind) {
    case 'convolution':
      return yield* convolution(name, inputChannels, channels, 3)
    case 'downsample':
      return yield* convolution(`${name}.op`, inputChannels, channels, 3)
    case 'upsample':
      return yield* convolution(`${name}.conv`, inputChannels, channels, 3)
    case 'residual':
      yield* norm(`${name}.in_layers.0`, inputChannels)
      yield* convolution(`${name}.in_layers.2`, inputChannels, channels, 3)
      yield* linear(`${name}.emb_layers.1`, unet.timeWidth, channels)
      yield* norm(`${name}.out_layers.0`, channels)
      yield* convolution(`${name}.out_layers.3`, channels, channels, 3)
      if (inputChannels !== channels) {
        yield* convolution(`${name}.skip_connection`, inputChannels, channels, 1)
      }
      return
    case 'transformer': {
      const projection = layer.linearProjection
        ? linear
        : (path: string, from: number, to: number) => convolution(path, from, to, 1)
      yield* norm(`${name}.norm`, channels)
      yield* projection(`${name}.proj_in`, channels, channels)
      for (let index = 0; index < layer.depth; index++) {
        yield* transformerBlock(`${name}.transformer_blocks.${index}`, channels, unet.contextWidth)
      }
      yield* projection(`${name}.proj_out`, channels, channels)
    }
  }
}

function* transformerBlock(name: string, channels: number, contextWidth: number) {
  for (const [attention, source] of [
    ['attn1', channels],
    ['attn2', contextWidth],
  ] as const) {
    yield* linear(`${name}.${attention}.to_q`, channels, channels, false)
    yield* linear(`${name}.${attention}.to_k`, source, channels, false)
    yield* linear(`${name}.${attention}.to_v`, source, channels, false)
    yield* linear(`${name}.${attention}.to_out.0`, channels, channels)
  }
  yield* linear(`${name}.ff.net.0.proj`, channels, channels * 8)
  yield* linear(`${name}.ff.net.2`, channels * 4, channels)
  for (const index of [1, 2, 3]) yield* norm(`${name}.norm${index}`, channels)
}

type Tensors = Generator<[name: string, shape: number[]]>

function* linear(name: string, from: number, to: number, bias = true): Tensors {
  yield [`${name}.weight`, [to, from]]
  if (bias) yield [`${name}.bias`, [to]]
}

function* convolution(name: string, from: number, to: number, kernel: number): Tensors {
  yield [`${name}.weight`, [to, from, kernel, kernel]]
  yield [`${name}.bias`, [to]]
}

function* norm(name: string, channels: number): Tensors {
  yield [`${name}.weight`, [channels]]
  yield [`${name}.bias`, [channels]]
}
