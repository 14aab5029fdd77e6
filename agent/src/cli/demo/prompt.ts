/** What the demo draws, with each network from a file of its own. */
import { basename } from 'node:path'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { modelParts } from './model-parts.ts'

/** The size that the shipped model was trained for. */
const SIDE = 256

/** Enough for a machine to be lost in the middle. */
const STEPS = 30

export interface Drawing {
  readonly text: string
  readonly seed: bigint
}

/** @param name of the picture; another name asks for the same pixels again. */
export function demoPrompt({ text, seed }: Drawing, name: string): Prompt {
  const node = (class_type: string, title: string, inputs: Prompt[string]['inputs']) => ({
    class_type,
    inputs,
    _meta: { title },
  })
  return {
    clip: node('CLIPLoader', 'Load the text encoder', {
      clip_name: basename(modelParts.text.file),
      type: 'stable_diffusion',
    }),
    unet: node('UNETLoader', 'Load the UNet', {
      unet_name: basename(modelParts.unet.file),
      weight_dtype: 'default',
    }),
    vae: node('VAELoader', 'Load the VAE', { vae_name: basename(modelParts.vae.file) }),
    text: node('CLIPTextEncode', 'Read the text', { text, clip: ['clip', 0] }),
    nothing: node('CLIPTextEncode', 'Read the empty text', { text: '', clip: ['clip', 0] }),
    size: node('EmptyLatentImage', 'Canvas', { width: SIDE, height: SIDE, batch_size: 1 }),
    sampler: node('KSampler', 'Sample', {
      model: ['unet', 0],
      positive: ['text', 0],
      negative: ['nothing', 0],
      latent_image: ['size', 0],
      seed,
      steps: STEPS,
      cfg: 4.5,
      sampler_name: 'euler',
      scheduler: 'normal',
      denoise: 1,
    }),
    decode: node('VAEDecode', 'Decode', { samples: ['sampler', 0], vae: ['vae', 0] }),
    save: node('SaveImage', 'Save', { images: ['decode', 0], filename_prefix: name }),
  }
}
