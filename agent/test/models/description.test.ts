/** What a model file is, in words. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { describeModel } from '../../src/models/description.ts'
import { shippedModels } from '../../src/models/model-paths.ts'
import { type StoredTensors, writeRaw, writeSafetensors } from './model-files.ts'

const folder = join(t.testdir(), 'models')
mkdirSync(folder)
const one = { shape: [1], values: [0] }
const write = (name: string, tensors: StoredTensors, metadata?: Record<string, string>) =>
  writeSafetensors(join(folder, name), tensors, metadata)

t.test('a checkpoint that runs', async (t) => {
  const path = join(shippedModels, 'checkpoints', 'comfymesh-shapes.safetensors')
  t.strictSame(await describeModel('checkpoints', path), { family: 'Stable Diffusion 1.x' })
})

t.test('a checkpoint of another family says which, and that it does not run', async (t) => {
  const path = write('flux.safetensors', { 'double_blocks.0.x': one })
  const told = await describeModel('diffusion_models', path)
  t.match(told, { family: 'a Flux model', problem: /Stable Diffusion 1\.x checkpoints/ })
})

t.test('a LoRA tells by its metadata what it is for', async (t) => {
  const lora = (name: string, metadata?: Record<string, string>) =>
    describeModel('loras', write(name, { 'lora_unet_x.lora_up.weight': one }, metadata))
  t.strictSame(await lora('a.safetensors'), {})
  const xl = await lora('b.safetensors', { ss_base_model_version: 'sdxl_base_v1-0' })
  t.strictSame(xl, { family: 'Stable Diffusion XL' })
  const old = await lora('c.safetensors', { 'modelspec.architecture': 'stable-diffusion-v1/lora' })
  t.strictSame(old, { family: 'Stable Diffusion 1.x' })
  const odd = await lora('d.safetensors', { ss_base_model_version: 'x'.repeat(1000) })
  t.equal(odd.family!.length, 80, 'what strangers write is cut')
})

t.test('a file that is none', async (t) => {
  const path = writeRaw(join(folder, 'cut.safetensors'), '{', new Uint8Array())
  t.match(await describeModel('loras', path), { problem: /cut\.safetensors/ })
})
