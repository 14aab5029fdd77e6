/**
 * What a model file is, from the names and shapes of its tensors alone: the family, the
 * networks inside and their sizes. How a network computes is executors' business.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import { type ClipConfig, clipTensors, readClipConfig } from './clip-config.ts'
import { fromPartNames } from './part-names.ts'
import { type ElementType, malformedFile, type Safetensors } from './safetensors.ts'
import { missingTensors, type TensorTree, tensorTree } from './tensor-tree.ts'
import { readUnetConfig, type UnetConfig, unetTensors } from './unet-config.ts'
import { readVaeConfig, type VaeConfig, vaeTensors } from './vae-config.ts'
import { fromDiffusersVae } from './vae-names.ts'

/** What a model file holds; the parts that it lacks are absent. */
export interface Checkpoint {
  /** Its tensors carry the names that the configs use, whatever the file calls them. */
  readonly file: Safetensors
  readonly family: 'sd1'
  readonly prediction: 'epsilon' | 'v'
  /** Multiplies raw latents before sampling. */
  readonly latentScale: number
  readonly unet?: UnetConfig
  readonly textEncoder?: ClipConfig
  readonly vae?: VaeConfig
  /** From scaled latents to RGB 0..1, for previews; null where the file brings none. */
  readonly latentRgb: LatentRgb | null
}

export interface LatentRgb {
  /** [latent channels][3] */
  readonly factors: readonly (readonly number[])[]
  /** [3] */
  readonly bias: readonly number[]
}

/** Of Stable Diffusion 1.x and 2.x: one over the deviation of their autoencoder's latents. */
const LATENT_SCALE = 0.18215

/**
 * @throws MeshError `unsupported_model` naming what the file is instead,
 *   `malformed_file` naming the tensors that are missing or misshapen.
 */
export function describeCheckpoint(original: Safetensors): Checkpoint {
  const file = fromPartNames(fromDiffusersVae(original))
  const tree = tensorTree(file)
  refuseOtherFamilies(file, tree)
  const unetRoot = 'model.diffusion_model'
  const textRoot = ['cond_stage_model.transformer.text_model', 'cond_stage_model.transformer'].find(
    (root) => tree.has(`${root}.encoder`) || tree.has(`${root}.embeddings`),
  )
  const vaeRoot = ['first_stage_model.', ''].find(
    (root) => tree.has(`${root}decoder`) || tree.has(`${root}encoder`),
  )
  const unet = tree.has(unetRoot) ? readUnetConfig(file, tree, unetRoot) : undefined
  const textEncoder = textRoot === undefined ? undefined : readClipConfig(file, tree, textRoot)
  const vae = vaeRoot === undefined ? undefined : readVaeConfig(file, tree, vaeRoot)
  if (!unet && !textEncoder && !vae) throw unsupported(file, 'of a kind that is not known here')
  checkTensors(file, [
    ...(unet ? unetTensors(unet) : []),
    ...(textEncoder ? clipTensors(textEncoder) : []),
    ...(vae ? vaeTensors(vae) : []),
  ])
  return {
    file,
    family: 'sd1',
    prediction: readPrediction(file),
    latentScale: LATENT_SCALE,
    ...(unet && { unet }),
    ...(textEncoder && { textEncoder }),
    ...(vae && { vae }),
    latentRgb: readLatentRgb(file),
  }
}

/** What else users have in their model folders, known by a module that only it has. */
const otherFamilies: readonly (readonly [module: string, is: string])[] = [
  ['model.diffusion_model.joint_blocks', 'a Stable Diffusion 3 model'],
  ['model.diffusion_model.double_blocks', 'a Flux model'],
  ['double_blocks', 'a Flux model'],
  ['conditioner.embedders.0.model', 'a Stable Diffusion 2.x model'],
  ['conditioner', 'a Stable Diffusion XL model'],
  ['cond_stage_model.model', 'a Stable Diffusion 2.x model'],
  ['model.diffusion_model.label_emb', 'a Stable Diffusion XL or unCLIP model'],
  ['model.diffusion_model.input_blocks.1.1.time_stack', 'a Stable Video Diffusion model'],
  ['model.diffusion_model.transformer_blocks', 'a diffusion transformer'],
  ['model.diffusion_model.blocks', 'a diffusion transformer'],
  ['model.diffusion_model.layers', 'a diffusion transformer'],
  ['control_model', 'a ControlNet, not a checkpoint'],
  ['input_hint_block', 'a ControlNet, not a checkpoint'],
  ['controlnet_cond_embedding', 'a ControlNet, not a checkpoint'],
  ['down_blocks.0.resnets', 'a UNet in diffusers format; single-file checkpoints work'],
  ['encoder.block', 'a T5 text encoder'],
  ['emb_params', 'a textual-inversion embedding; it belongs in the embeddings folder'],
]

function refuseOtherFamilies(file: Safetensors, tree: TensorTree): void {
  const other = otherFamilies.find(([module]) => tree.has(module))
  if (other) throw unsupported(file, other[1])
  const scaled = [...file.tensors.keys()].find((name) =>
    /(^scaled_fp8|\.scale_weight|\.comfy_quant)$/.test(name),
  )
  if (scaled) throw unsupported(file, `quantized with scales (${scaled})`)
  const [first] = file.tensors.keys()
  if (first && /^lora_|\.lora_(A|B|up|down)\.|_lora\./.test(first)) {
    throw unsupported(file, 'a LoRA; it belongs in the loras folder')
  }
}

function unsupported(file: Safetensors, is: string): MeshError {
  const architecture = file.metadata['modelspec.architecture']
  const says = architecture ? ` (its metadata says ${architecture})` : ''
  return new MeshError(
    'unsupported_model',
    `${file.path} is ${is}${says}. Stable Diffusion 1.x checkpoints and autoencoders run here.`,
    { details: { path: file.path, is, ...(architecture && { architecture }) } },
  )
}

/** The types that networks run from. */
const weightTypes: readonly ElementType[] = ['F64', 'F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2']

function checkTensors(
  file: Safetensors,
  needed: readonly (readonly [name: string, shape: readonly number[]])[],
): void {
  const missing = needed.filter(([name]) => !file.tensors.has(name))
  if (missing.length > 0) {
    throw missingTensors(
      file,
      missing.map(([name]) => name),
    )
  }
  for (const [name, shape] of needed) {
    const { dtype, shape: actual } = file.tensors.get(name)!
    if (withoutPadding(actual) !== withoutPadding(shape)) {
      throw malformedFile(file.path, `${name} has the shape [${actual}] instead of [${shape}]`)
    }
    if (!weightTypes.includes(dtype)) {
      throw new MeshError(
        'unsupported_model',
        `${file.path} holds weights of type ${dtype} (${name}). Use a copy in f32, f16, bf16 or f8.`,
        { details: { path: file.path, dtype } },
      )
    }
  }
}

/** [c, c] and [c, c, 1, 1] are the same matrix, as a linear layer and as a 1x1 convolution. */
function withoutPadding(shape: readonly number[]): string {
  return shape.join().replace(/(,1)+$/, '')
}

/** Epsilon unless the file says otherwise, in one of the ways that tools leave. */
function readPrediction({ tensors, metadata }: Safetensors): 'epsilon' | 'v' {
  const marked = tensors.has('v_pred') || tensors.has('model.diffusion_model.v_pred')
  const specified = metadata['modelspec.prediction_type']?.startsWith('v')
  const trained = metadata.ss_base_model_version?.endsWith('_v')
  return marked || specified || trained ? 'v' : 'epsilon'
}

/** Previews are no reason to refuse a model, so what does not parse counts as absent. */
function readLatentRgb({ metadata }: Safetensors): LatentRgb | null {
  const text = metadata['comfymesh.latent_rgb']
  if (text === undefined) return null
  try {
    const { factors, bias } = JSON.parse(text) as { factors: unknown; bias: unknown }
    const isTriple = (row: unknown): row is number[] =>
      Array.isArray(row) && row.length === 3 && row.every(Number.isFinite)
    return Array.isArray(factors) && factors.every(isTriple) && isTriple(bias)
      ? { factors, bias }
      : null
  } catch {
    return null
  }
}
