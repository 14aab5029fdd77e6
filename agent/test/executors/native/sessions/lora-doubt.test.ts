import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loraDoubt } from '../../../../src/executors/native/sessions/lora-doubt.ts'
import { createModelFiles } from '../../../../src/executors/native/sessions/model-files.ts'
import { writeRuleModel, writeSafetensors } from '../../../models/model-files.ts'
import {
  addPair,
  checkpointOf,
  type MadeLora,
  shapes,
  TEXT,
  UNET,
  underscored,
} from '../graphs/made-loras.ts'

/** A low-rank pair for one module of a network. */
function madePair(network: string, module: string, prefix: string): MadeLora['tensors'] {
  const made: MadeLora = { tensors: {}, changes: {} }
  const name = underscored(module)
  addPair(made, `${network}${module}`, (part) => `${prefix}${name}.lora_${part}.weight`)
  return made.tensors
}

const forUnet = madePair(UNET, 'input_blocks.1.1.proj_in', 'lora_unet_')
const forText = madePair(TEXT, 'encoder.layers.0.mlp.fc1', 'lora_te_text_model_')

/** Files of the UNet and of the text encoder alone, in a folder each. */
function separateModels(t: Test): { folder: string; unet: string; text: string } {
  const folder = t.testdir({ unet: {}, text: {} })
  const write = (name: string, isWanted: (tensor: string) => boolean) => {
    const own = Object.entries(shapes).filter(([tensor]) => isWanted(tensor))
    return writeRuleModel(join(folder, name), Object.fromEntries(own))
  }
  const isUnet = (name: string) => name.startsWith(UNET)
  return { folder, unet: write('unet', isUnet), text: write('text', (name) => !isUnet(name)) }
}

t.test('a LoRA that fits a model in part only', async (t) => {
  const folder = t.testdir()
  const { path: model } = (await checkpointOf(folder)).file
  const odd = { shape: [1], values: [1] }
  const strange = ['lora_te3_x.alpha', 'a.b', 'c', 'd'].map((name) => [name, odd] as const)
  const whole = writeSafetensors(join(folder, 'whole.safetensors'), forUnet)
  const all = { ...forUnet, ...Object.fromEntries(strange) }
  const part = writeSafetensors(join(folder, 'part.safetensors'), all)
  const files = createModelFiles()
  t.equal(await loraDoubt(files, whole, [model]), undefined)
  const doubt = await loraDoubt(files, part, [model])
  t.match(doubt, /^4 of the 6 tensors of the LoRA .*part\.safetensors fit no layer/)
  t.match(doubt, '(lora_te3_x.alpha, a.b, c, ...)')
})

t.test('of two models, what fits one fits', async (t) => {
  const { folder, unet, text } = separateModels(t)
  const lora = writeSafetensors(join(folder, 'lora.safetensors'), forUnet)
  const files = createModelFiles()
  t.match(await loraDoubt(files, lora, [text]), /changes nothing/)
  t.equal(await loraDoubt(files, lora, [text, unet]), undefined)
})

t.test('on a diffusion model alone, nobody misses the part for the text', async (t) => {
  const { folder, unet, text } = separateModels(t)
  const files = createModelFiles()
  const write = (name: string, tensors: MadeLora['tensors']) =>
    writeSafetensors(join(folder, `${name}.safetensors`), tensors)
  const both = write('both', { ...forUnet, ...forText })
  t.equal(await loraDoubt(files, both, [unet]), undefined)
  t.equal(await loraDoubt(files, both, [unet, text]), undefined)
  const more = write('more', { ...forUnet, ...forText, odd: { shape: [1], values: [1] } })
  t.match(await loraDoubt(files, more, [unet]), /^1 of the 5 tensors .*\(odd\)/)
  t.match(await loraDoubt(files, write('text', forText), [unet]), /changes nothing: none of its 2/)
})

t.test('a LoRA that fits nothing, such as a whole checkpoint, changes nothing', async (t) => {
  const { path, tensors } = (await checkpointOf(t.testdir())).file
  const doubt = await loraDoubt(createModelFiles(), path, [path])
  t.match(doubt, `The LoRA ${path} changes nothing: none of its ${tensors.size} tensors fits`)
})
