/**
 * The image autoencoder of a checkpoint (ldm's AutoencoderKL), layer by layer as its tensor
 * names tell. Both halves are plain sequences.
 */
import type { Safetensors } from './safetensors.ts'
import { missingTensors, type TensorTree } from './tensor-tree.ts'

/** `name` is the layer's path in the file, without a final dot. */
export type VaeLayer =
  | {
      readonly kind: 'convolution'
      readonly name: string
      readonly inputChannels: number
      readonly channels: number
      readonly kernel: number
    }
  | {
      readonly kind: 'residual'
      readonly name: string
      readonly inputChannels: number
      readonly channels: number
    }
  | { readonly kind: 'attention'; readonly name: string; readonly channels: number }
  | { readonly kind: 'downsample'; readonly name: string; readonly channels: number }
  | { readonly kind: 'upsample'; readonly name: string; readonly channels: number }
  /** Group norm and SiLU before the last convolution. */
  | { readonly kind: 'norm'; readonly name: string; readonly channels: number }

export interface VaeConfig {
  readonly latentChannels: number
  /** Pixels per latent cell and side, e.g. 8. */
  readonly downscale: number
  /** From pixels to moments: the mean's channels, then those of the log variance. */
  readonly encoder?: readonly VaeLayer[]
  /** From latents to pixels. */
  readonly decoder?: readonly VaeLayer[]
}

/**
 * @param root `first_stage_model.` or '' where the file holds nothing else.
 * @throws MeshError `malformed_file`
 */
export function readVaeConfig(file: Safetensors, tree: TensorTree, root: string): VaeConfig {
  const decoder = tree.has(`${root}decoder`) ? readDecoder(tree, root) : undefined
  const encoder = tree.has(`${root}encoder`) ? readEncoder(tree, root) : undefined
  const half = decoder ?? encoder
  if (!half) throw missingTensors(file, [`${root}decoder.*`])
  const scaling = half.filter(({ kind }) => kind === 'upsample' || kind === 'downsample').length
  return {
    latentChannels: decoder ? inputChannels(decoder[0]!) : encoder!.at(-1)!.channels / 2,
    downscale: 2 ** scaling,
    ...(encoder && { encoder }),
    ...(decoder && { decoder }),
  }
}

function readDecoder(tree: TensorTree, root: string): VaeLayer[] {
  const decoder = `${root}decoder`
  const layers = [
    ...optionalConvolution(tree, `${root}post_quant_conv`),
    convolutionAt(tree, `${decoder}.conv_in`),
    ...middleOf(tree, decoder),
  ]
  for (let level = tree.count(`${decoder}.up`) - 1; level >= 0; level--) {
    const path = `${decoder}.up.${level}`
    layers.push(...levelOf(tree, path))
    if (tree.has(`${path}.upsample`)) layers.push(resampling(tree, 'upsample', `${path}.upsample`))
  }
  return [...layers, ...outputOf(tree, decoder)]
}

function readEncoder(tree: TensorTree, root: string): VaeLayer[] {
  const encoder = `${root}encoder`
  const layers = [convolutionAt(tree, `${encoder}.conv_in`)]
  for (let level = 0; level < tree.count(`${encoder}.down`); level++) {
    const path = `${encoder}.down.${level}`
    layers.push(...levelOf(tree, path))
    if (tree.has(`${path}.downsample`)) {
      layers.push(resampling(tree, 'downsample', `${path}.downsample`))
    }
  }
  return [
    ...layers,
    ...middleOf(tree, encoder),
    ...outputOf(tree, encoder),
    ...optionalConvolution(tree, `${root}quant_conv`),
  ]
}

/** Residual blocks of a level, each followed by attention where the file has some. */
function levelOf(tree: TensorTree, path: string): VaeLayer[] {
  return Array.from({ length: tree.count(`${path}.block`) }, (_, index) => [
    residual(tree, `${path}.block.${index}`),
    ...(tree.has(`${path}.attn.${index}`) ? [attention(tree, `${path}.attn.${index}`)] : []),
  ]).flat()
}

function middleOf(tree: TensorTree, half: string): VaeLayer[] {
  return [
    residual(tree, `${half}.mid.block_1`),
    attention(tree, `${half}.mid.attn_1`),
    residual(tree, `${half}.mid.block_2`),
  ]
}

function outputOf(tree: TensorTree, half: string): VaeLayer[] {
  const name = `${half}.norm_out`
  return [
    { kind: 'norm', name, channels: tree.shape(`${name}.weight`, 1)[0]! },
    convolutionAt(tree, `${half}.conv_out`),
  ]
}

function convolutionAt(tree: TensorTree, name: string): VaeLayer {
  const [channels, inputChannels, kernel] = tree.shape(`${name}.weight`, 4) as [
    number,
    number,
    number,
  ]
  return { kind: 'convolution', name, inputChannels, channels, kernel }
}

function optionalConvolution(tree: TensorTree, name: string): VaeLayer[] {
  return tree.has(name) ? [convolutionAt(tree, name)] : []
}

function residual(tree: TensorTree, name: string): VaeLayer {
  const [channels, inputChannels] = tree.shape(`${name}.conv1.weight`, 4) as [number, number]
  return { kind: 'residual', name, inputChannels, channels }
}

function attention(tree: TensorTree, name: string): VaeLayer {
  return { kind: 'attention', name, channels: tree.shape(`${name}.norm.weight`, 1)[0]! }
}

function resampling(tree: TensorTree, kind: 'upsample' | 'downsample', name: string): VaeLayer {
  return { kind, name, channels: tree.shape(`${name}.conv.weight`, 4)[0]! }
}

function inputChannels(layer: VaeLayer): number {
  return layer.kind === 'convolution' || layer.kind === 'residual'
    ? layer.inputChannels
    : layer.channels
}

/** Every tensor that the halves need, with the shape it must have. */
export function* vaeTensors(vae: VaeConfig): Generator<[name: string, shape: number[]]> {
  for (const half of [vae.encoder, vae.decoder]) {
    let channels = half && inputChannels(half[0]!)
    for (const layer of half ?? []) {
      yield* layerTensors(layer, channels!)
      channels = layer.channels
    }
  }
}

function* layerTensors(layer: VaeLayer, from: number): Generator<[name: string, shape: number[]]> {
  const { name, channels } = layer
  switch (layer.kind) {
    case 'convolution':
      yield [`${name}.weight`, [channels, from, layer.kernel, layer.kernel]]
      yield [`${name}.bias`, [channels]]
      return
    case 'residual':
      for (const [index, size] of [from, channels].entries()) {
        yield [`${name}.norm${index + 1}.weight`, [size]]
        yield [`${name}.norm${index + 1}.bias`, [size]]
        yield [`${name}.conv${index + 1}.weight`, [channels, size, 3, 3]]
        yield [`${name}.conv${index + 1}.bias`, [channels]]
      }
      if (from !== channels) {
        yield [`${name}.nin_shortcut.weight`, [channels, from, 1, 1]]
        yield [`${name}.nin_shortcut.bias`, [channels]]
      }
      return
    case 'attention':
      yield [`${name}.norm.weight`, [from]]
      yield [`${name}.norm.bias`, [from]]
      for (const part of ['q', 'k', 'v', 'proj_out']) {
        yield [`${name}.${part}.weight`, [from, from, 1, 1]]
        yield [`${name}.${part}.bias`, [from]]
      }
      return
    case 'norm':
      yield [`${name}.weight`, [from]]
      yield [`${name}.bias`, [from]]
      return
    default:
      yield [`${name}.conv.weight`, [channels, from, 3, 3]]
      yield [`${name}.conv.bias`, [channels]]
  }
}
