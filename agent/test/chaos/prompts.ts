/** What the chaos asks for: small prompts of a few shapes, placed as chance wants. */
import { basename } from 'node:path'
import type { JsonObject } from '@comfymesh/protocol/json'
import { type ModelPart, modelParts } from '../../src/cli/demo/model-parts.ts'
import { type TestPrompt, textToImage } from '../e2e/prompts.ts'
import type { Chance } from '../random.ts'

export const UPLOADED_PICTURE = 'uploaded.png'

export interface RandomPrompt {
  readonly shape: string
  readonly prompt: TestPrompt
  readonly extraData: JsonObject
}

/** What a prompt computes with, by the name under which it is counted. */
const shapes = {
  /** One checkpoint, which every machine has. */
  whole: (prompt: TestPrompt) => prompt,
  /** Each network from a file that not every machine has. */
  parts: withParts,
  'img2img whole': fromPicture,
  'img2img parts': (prompt: TestPrompt) => fromPicture(withParts(prompt)),
} as const

const texts = ['a red circle on a blue background', 'a green square', 'two yellow triangles']

/** A machine that nodes may be bound to. */
export interface Place {
  readonly name: string
  readonly parts: readonly ModelPart[]
}

export function randomPrompt(chance: Chance, places: readonly Place[]): RandomPrompt {
  const shape = chance.pick(Object.keys(shapes) as (keyof typeof shapes)[])
  const plain = textToImage({
    text: chance.pick(texts),
    seed: chance.whole(1e9),
    steps: 2 + chance.whole(5),
  })
  // Of its own, or a picture that was saved before would be the answer.
  plain['9']!.inputs.filename_prefix = `chaos-${chance.whole(1e9)}`
  const prompt = shapes[shape](plain)
  return { shape, prompt, extraData: randomWish(chance, places, shape.endsWith('parts')) }
}

/** Whose network a node needs. */
const needs = { CLIPTextEncode: 'text', KSampler: 'unet', VAEDecode: 'vae' } as const

/**
 * Nothing, or some nodes bound to machines. Those may lack what the nodes need where another may take
 * their place; where none may, the wish can be fulfilled as long as the machine is there.
 */
function randomWish(chance: Chance, places: readonly Place[], hasParts: boolean): JsonObject {
  if (chance.next() < 0.4) return {}
  const fallback = chance.pick(['none', 'ask', 'auto'])
  const bound = (Object.keys(needs) as (keyof typeof needs)[]).filter(() => chance.next() < 0.6)
  const able = (name: keyof typeof needs) =>
    fallback === 'none' && hasParts
      ? places.filter(({ parts }) => parts.includes(needs[name]))
      : places
  const affinity = Object.fromEntries(bound.map((name) => [name, chance.pick(able(name)).name]))
  return { comfymesh: { affinity, fallback } }
}

function withParts(prompt: TestPrompt): TestPrompt {
  const file = (part: keyof typeof modelParts) => basename(modelParts[part].file)
  const { '4': _, ...rest } = prompt
  for (const id of ['6', '7']) rest[id]!.inputs.clip = ['text', 0]
  rest['3']!.inputs.model = ['unet', 0]
  rest['8']!.inputs.vae = ['vae', 0]
  return {
    ...rest,
    text: {
      class_type: 'CLIPLoader',
      inputs: { clip_name: file('text'), type: 'stable_diffusion' },
    },
    unet: {
      class_type: 'UNETLoader',
      inputs: { unet_name: file('unet'), weight_dtype: 'default' },
    },
    vae: { class_type: 'VAELoader', inputs: { vae_name: file('vae') } },
  }
}

function fromPicture(prompt: TestPrompt): TestPrompt {
  const { '5': _, ...rest } = prompt
  Object.assign(rest['3']!.inputs, { latent_image: ['encode', 0], denoise: 0.7 })
  return {
    ...rest,
    load: { class_type: 'LoadImage', inputs: { image: UPLOADED_PICTURE } },
    encode: {
      class_type: 'VAEEncode',
      inputs: { pixels: ['load', 0], vae: rest['8']!.inputs.vae! },
    },
  }
}
