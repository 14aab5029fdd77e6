/** LoRAs and pictures to begin with, through the built program. */
import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import { testBuiltAgent } from '../built-agent.ts'
import { ruleValues, type StoredTensors, writeSafetensors } from '../models/model-files.ts'
import { ask } from '../test-agent.ts'
import { pixelsOf, shippedCheckpoint, type TestPrompt, textToImage } from './prompts.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)

const RANK = 2

/** A LoRA on a few matrices of the shipped checkpoint's UNet, named as kohya's trainer names them. */
function randomLora(): StoredTensors {
  const checkpoint = shippedCheckpoint()
  const header = checkpoint.subarray(8, 8 + Number(checkpoint.readBigUInt64LE(0)))
  const shapes = JSON.parse(header.toString()) as { [name: string]: { shape: number[] } }
  const tensors: { [name: string]: StoredTensors[string] } = {}
  for (const part of ['attn1_to_q', 'attn2_to_v', 'attn1_to_out_0']) {
    const weight = `middle_block.1.transformer_blocks.0.${part.replace(/_(?=to)/, '.').replace('_0', '.0')}`
    const [rows, columns] = shapes[`model.diffusion_model.${weight}.weight`]!.shape
    const name = `lora_unet_mid_block_attentions_0_transformer_blocks_0_${part}`
    const matrix = (end: string, shape: number[]) => {
      const values = ruleValues(name + end, shape[0]! * shape[1]!)
      tensors[`${name}.lora_${end}.weight`] = { shape, values, dtype: 'F16' }
    }
    matrix('down', [RANK, columns!])
    matrix('up', [rows!, RANK])
    tensors[`${name}.alpha`] = { shape: [], values: [RANK] }
  }
  return tensors
}

t.test('a LoRA changes the picture as much as its strength says', async (t) => {
  const folder = t.testdir({ models: { loras: {} } })
  writeSafetensors(join(folder, 'models', 'loras', 'random.safetensors'), randomLora())
  const models = ['--models', join(folder, 'models')]
  const agent = await testBuiltAgent(t, join(folder, 'data'), models)
  const plain = await pixelsOf(agent, textToImage({ steps: 4 }))
  t.not(await pixelsOf(agent, withLora(0.8)), plain)
  t.equal(await pixelsOf(agent, withLora(0)), plain)
})

function withLora(strength: number): TestPrompt {
  const prompt = textToImage({ steps: 4 })
  prompt['10'] = {
    class_type: 'LoraLoader',
    inputs: {
      lora_name: 'random.safetensors',
      strength_model: strength,
      strength_clip: strength,
      model: ['4', 0],
      clip: ['4', 1],
    },
  }
  prompt['3']!.inputs.model = ['10', 0]
  prompt['6']!.inputs.clip = ['10', 1]
  prompt['7']!.inputs.clip = ['10', 1]
  return prompt
}

t.test('a picture that was uploaded is where sampling begins', async (t) => {
  const agent = await testBuiltAgent(t)
  const green = { r: 30, g: 160, b: 70 }
  const picture = await sharp({ create: { width: 64, height: 64, channels: 3, background: green } })
    .png()
    .toBuffer()
  const form = new FormData()
  form.set('image', new File([new Uint8Array(picture)], 'green.png'))
  const uploaded = await fetch(`${agent.url}/upload/image`, { method: 'POST', body: form })
  const { name } = (await uploaded.json()) as { name: string }
  t.match((await ask(agent, 'GET', '/object_info/LoadImage')).text, `"${name}"`)

  const from = (denoise: number) => {
    const prompt = textToImage()
    prompt['5'] = { class_type: 'VAEEncode', inputs: { pixels: ['10', 0], vae: ['4', 2] } }
    prompt['10'] = { class_type: 'LoadImage', inputs: { image: name } }
    prompt['3']!.inputs.denoise = denoise
    return prompt
  }
  const [little, all] = [await pixelsOf(agent, from(0.05)), await pixelsOf(agent, from(1))]
  const distance = (pixels: string) => meanDistance(pixels, [30, 160, 70])
  t.ok(distance(little) < distance(all) / 2, `${distance(little)} against ${distance(all)}`)
})

/** How far the bytes of RGB pixels are from a colour, on average. */
function meanDistance(pixels: string, colour: readonly [number, number, number]): number {
  const bytes = Buffer.from(pixels, 'hex')
  const total = bytes.reduce((sum, byte, index) => sum + Math.abs(byte - colour[index % 3]!), 0)
  return total / bytes.length
}
