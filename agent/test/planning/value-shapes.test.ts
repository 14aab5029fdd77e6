import type { PlannedStage } from '@comfymesh/protocol/plan'
import type { ValueReference } from '@comfymesh/protocol/value'
import type { Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { checkValues } from '../../src/planning/value-shapes.ts'

const prompt: Prompt = {
  latent: { class_type: 'EmptyLatentImage', inputs: { width: 512, height: 256, batch_size: 2 } },
  sampler: { class_type: 'KSampler', inputs: { latent_image: ['latent', 0] } },
  checkpoint: { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'sd15' } },
  pixels: { class_type: 'VAELoader', inputs: { vae_name: 'pixel_space' } },
  own: { class_type: 'VAEDecode', inputs: { samples: ['sampler', 0], vae: ['checkpoint', 2] } },
  other: { class_type: 'VAEDecode', inputs: { samples: ['latent', 0], vae: ['pixels', 0] } },
}

function check(nodeId: string, type: 'IMAGE' | 'LATENT', shape: number[]): void {
  const output = { nodeId, slot: 0, type }
  const name = type === 'IMAGE' ? 'image' : 'samples'
  const value = {
    ...output,
    tensors: [{ name, dtype: 'F32', shape }],
    blob: { hash: '', sizeBytes: 2 ** 30 },
    holders: ['peer'],
  } as unknown as ValueReference
  const stage = { outputs: [output] } as unknown as PlannedStage
  checkValues([value], { stage, peerId: 'peer', prompt })
}

const corrupt = (message: RegExp) => ({
  code: 'corrupt_value',
  message,
  details: { peerId: 'peer' },
})

t.test('pictures and latents are as large as the prompt asks for', async (t) => {
  check('sampler', 'LATENT', [2, 4, 32, 64])
  check('own', 'IMAGE', [2, 256, 512, 3])
  const small = /1×256×512×3 where the prompt asks for 2 of 512×256 pixels/
  t.throws(() => check('own', 'IMAGE', [1, 256, 512, 3]), corrupt(small))
  t.throws(() => check('sampler', 'LATENT', [2, 4, 64, 32]), corrupt(/2×4×64×32/))
})

t.test('of a VAE from its own file nobody knows how large its pictures are', async (t) => {
  check('other', 'IMAGE', [2, 32, 64, 4])
  check('other', 'IMAGE', [2, 256, 512, 3])
  t.throws(() => check('other', 'IMAGE', [2, 32, 64]), corrupt(/has the shape 2×32×64\./))
})
