/**
 * Nodes that name a model file. They make handles; what is wrong with the file's header is
 * said here, as in ComfyUI, while reading weights is sessions/' business.
 */
import { statSync } from 'node:fs'
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { ModelFolders, ModelKind } from '../../../models/folders.ts'
import { defineNode, type NodeContext } from '../node.ts'
import type { ClipHandle, ModelHandle } from '../values.ts'

const loader = { category: 'model/loaders' }

const strength = ['FLOAT', { default: 1, min: -100, max: 100, step: 0.01 }] as const

/** ComfyUI's name among the VAEs for none: the latents are the pixels. */
const PIXEL_SPACE = 'pixel_space'

export const loaderNodes = [
  defineNode({
    ...loader,
    name: 'CheckpointLoaderSimple',
    displayName: 'Load Checkpoint',
    inputs: (lists) => ({ required: { ckpt_name: [lists.models('checkpoints'), {}] } }),
    outputs: ['MODEL', 'CLIP', 'VAE'],
    run: async ({ ckpt_name }, { folders, models }) => {
      const path = modelFile(folders, 'checkpoints', ckpt_name)
      const model = { kind: 'MODEL', path, loras: [] } as const
      await models.denoiser(model)
      return [model, { kind: 'CLIP', path, loras: [], lastLayer: -1 }, { kind: 'VAE', path }]
    },
    fingerprint: (inputs, folders) => versionOf(folders, 'checkpoints', inputs, 'ckpt_name'),
  }),
  defineNode({
    ...loader,
    name: 'UNETLoader',
    displayName: 'Load Diffusion Model',
    inputs: (lists) => ({
      required: {
        unet_name: [lists.models('diffusion_models')],
        // Weights run in the precision that the file has.
        weight_dtype: [['default'], { advanced: true }],
      },
    }),
    outputs: ['MODEL'],
    run: async ({ unet_name }, { folders, models }) => {
      const path = modelFile(folders, 'diffusion_models', unet_name)
      const model = { kind: 'MODEL', path, loras: [] } as const
      await models.denoiser(model)
      return [model]
    },
    fingerprint: (inputs, folders) => versionOf(folders, 'diffusion_models', inputs, 'unet_name'),
  }),
  defineNode({
    ...loader,
    name: 'CLIPLoader',
    displayName: 'Load CLIP',
    inputs: (lists) => ({
      required: {
        clip_name: [lists.models('text_encoders')],
        type: [['stable_diffusion']],
      },
      optional: { device: [['default', 'cpu'], { advanced: true }] },
    }),
    outputs: ['CLIP'],
    run: async ({ clip_name }, { folders, models }) => {
      const path = modelFile(folders, 'text_encoders', clip_name)
      const clip = { kind: 'CLIP', path, loras: [], lastLayer: -1 } as const
      await models.textEncoder(clip)
      return [clip]
    },
    fingerprint: (inputs, folders) => versionOf(folders, 'text_encoders', inputs, 'clip_name'),
  }),
  defineNode({
    ...loader,
    name: 'VAELoader',
    displayName: 'Load VAE',
    inputs: (lists) => ({ required: { vae_name: [[...lists.models('vae'), PIXEL_SPACE]] } }),
    outputs: ['VAE'],
    run: async ({ vae_name }, { folders, models }) => {
      const path = vae_name === PIXEL_SPACE ? null : modelFile(folders, 'vae', vae_name)
      const vae = { kind: 'VAE', path } as const
      await models.autoencoder(vae)
      return [vae]
    },
    fingerprint: (inputs, folders) => versionOf(folders, 'vae', inputs, 'vae_name'),
  }),
  defineNode({
    ...loader,
    name: 'LoraLoader',
    displayName: 'Load LoRA (Model and CLIP)',
    extra: { essentials_category: 'Image Generation' },
    inputs: (lists) => ({
      required: {
        model: ['MODEL', {}],
        clip: ['CLIP', {}],
        lora_name: [lists.models('loras'), {}],
        strength_model: strength,
        strength_clip: strength,
      },
    }),
    outputs: ['MODEL', 'CLIP'],
    run: async ({ model, clip, lora_name, strength_model, strength_clip }, context) => {
      if (strength_model === 0 && strength_clip === 0) return [model, clip]
      const path = await loraFile(lora_name, [model, clip], context)
      return [withLora(model, path, strength_model), withLora(clip, path, strength_clip)]
    },
    fingerprint: (inputs, folders) => versionOf(folders, 'loras', inputs, 'lora_name'),
  }),
  defineNode({
    ...loader,
    name: 'LoraLoaderModelOnly',
    displayName: 'Load LoRA',
    extra: { essentials_category: 'Image Generation' },
    inputs: (lists) => ({
      required: {
        model: ['MODEL'],
        lora_name: [lists.models('loras')],
        strength_model: strength,
      },
    }),
    outputs: ['MODEL'],
    run: async ({ model, lora_name, strength_model }, context) => {
      if (strength_model === 0) return [model]
      const path = await loraFile(lora_name, [model], context)
      return [withLora(model, path, strength_model)]
    },
    fingerprint: (inputs, folders) => versionOf(folders, 'loras', inputs, 'lora_name'),
  }),
]

/** The path of a LoRA. What of it does not fit is warned of, as ComfyUI logs it. */
async function loraFile(
  name: string,
  handles: readonly (ModelHandle | ClipHandle)[],
  { folders, models, warn }: NodeContext,
): Promise<string> {
  const path = modelFile(folders, 'loras', name)
  const doubt = await models.loraDoubt(path, handles)
  if (doubt !== undefined) warn(doubt)
  return path
}

/** The handle with one more LoRA on it, unless that would change nothing. */
function withLora<Handle extends ModelHandle | ClipHandle>(
  handle: Handle,
  path: string,
  loraStrength: number,
): Handle {
  if (loraStrength === 0) return handle
  return { ...handle, loras: [...handle.loras, { path, strength: loraStrength }] }
}

function modelFile(folders: ModelFolders, kind: ModelKind, name: string): string {
  const path = folders.find(kind, name)
  if (path !== undefined) return path
  const searched = folders.foldersOf(kind)
  throw new MeshError(
    'not_found',
    `There is no file '${name}' among the ${kind}. Put it into one of the folders searched: ` +
      `${searched.join(', ')}; or name its folder with --models.`,
    { details: { kind, name, searched } },
  )
}

/** Changes when the file is replaced, so that a retrained LoRA does not give yesterday's picture. */
async function versionOf(
  folders: ModelFolders,
  kind: ModelKind,
  inputs: JsonObject,
  input: string,
): Promise<string> {
  const name = inputs[input]
  const path = typeof name === 'string' ? folders.find(kind, name) : undefined
  const stat = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? 'absent' : `${path} ${stat.size} ${stat.mtimeMs}`
}
