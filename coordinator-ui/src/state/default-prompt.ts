/** What the page opens with: ComfyUI's default graph, with values that suit the model there is. */
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'

/** The model that ships with every agent; small, and at its best at 256 and little guidance. */
export const SHIPPED = 'comfymesh-shapes.safetensors'

/** Undefined when no agent has a checkpoint at all. */
export function defaultPrompt(definitions: NodeDefinitions): Prompt | undefined {
  const checkpoint = checkpointsOf(definitions)[0]
  if (checkpoint === undefined) return undefined
  const isShipped = checkpoint === SHIPPED
  const side = isShipped ? 256 : 512
  const text = isShipped
    ? 'a yellow star above a green square on a purple background'
    : 'a lighthouse on a cliff at dusk, warm light, detailed'
  return {
    '1': {
      class_type: 'CheckpointLoaderSimple',
      inputs: { ckpt_name: checkpoint },
      _meta: { title: 'Load model' },
    },
    '2': {
      class_type: 'CLIPTextEncode',
      inputs: { text, clip: ['1', 1] },
      _meta: { title: 'Prompt' },
    },
    '3': {
      class_type: 'CLIPTextEncode',
      inputs: { text: '', clip: ['1', 1] },
      _meta: { title: 'Avoid' },
    },
    '4': {
      class_type: 'EmptyLatentImage',
      inputs: { width: side, height: side, batch_size: 1 },
      _meta: { title: 'Size' },
    },
    '5': {
      class_type: 'KSampler',
      inputs: {
        model: ['1', 0],
        seed: 1,
        steps: 20,
        cfg: isShipped ? 4.5 : 7,
        sampler_name: 'euler',
        scheduler: 'normal',
        positive: ['2', 0],
        negative: ['3', 0],
        latent_image: ['4', 0],
        denoise: 1,
      },
      _meta: { title: 'Sample' },
    },
    '6': {
      class_type: 'VAEDecode',
      inputs: { samples: ['5', 0], vae: ['1', 2] },
      _meta: { title: 'Decode' },
    },
    '7': {
      class_type: 'SaveImage',
      inputs: { filename_prefix: 'comfymesh', images: ['6', 0] },
      _meta: { title: 'Save' },
    },
  }
}

/** The checkpoints of all peers, the user's own before the one that ships. */
function checkpointsOf(definitions: NodeDefinitions): string[] {
  const spec = definitions.CheckpointLoaderSimple?.input.required?.ckpt_name
  if (spec === undefined) return []
  const options = typeof spec[0] === 'string' ? spec[1]?.options : spec[0]
  const names = Array.isArray(options) ? options.map(String) : []
  return names.toSorted((a, b) => Number(a === SHIPPED) - Number(b === SHIPPED))
}
