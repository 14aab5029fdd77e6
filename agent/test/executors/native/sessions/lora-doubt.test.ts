import { join } from 'node:path'
import t from 'tap'
import { loraDoubt } from '../../../../src/executors/native/sessions/lora-doubt.ts'
import { createModelFiles } from '../../../../src/executors/native/sessions/model-files.ts'
import { type Shapes, writeRuleModel, writeSafetensors } from '../../../models/model-files.ts'
import {
  addPair,
  checkpointOf,
  type MadeLora,
  shapes,
  UNET,
  underscored,
} from '../graphs/made-loras.ts'

/** A low-rank pair for one module of the UNet. */
function madeLora(): MadeLora {
  const made: MadeLora = { tensors: {}, changes: {} }
  const module = 'input_blocks.1.1.proj_in'
  addPair(
    made,
    `${UNET}${module}`,
    (part) => `lora_unet_${underscored(module)}.lora_${part}.weight`,
  )
  return made
}

t.test('a LoRA that fits a model in part only', async (t) => {
  const folder = t.testdir()
  const { path: model } = (await checkpointOf(folder)).file
  const { tensors } = madeLora()
  const odd = { shape: [1], values: [1] }
  const strange = ['lora_te3_x.alpha', 'a.b', 'c', 'd'].map((name) => [name, odd] as const)
  const whole = writeSafetensors(join(folder, 'whole.safetensors'), tensors)
  const all = { ...tensors, ...Object.fromEntries(strange) }
  const part = writeSafetensors(join(folder, 'part.safetensors'), all)
  const files = createModelFiles()
  t.equal(await loraDoubt(files, whole, [model]), undefined)
  const doubt = await loraDoubt(files, part, [model])
  t.match(doubt, /^4 of the 6 tensors of the LoRA .*part\.safetensors fit no layer/)
  t.match(doubt, '(lora_te3_x.alpha, a.b, c, ...)')
})

t.test('of two models, what fits one fits', async (t) => {
  const folder = (name: string) => join(t.testdirName, name)
  t.testdir({ unet: {}, text: {} })
  const only = (isWanted: (name: string) => boolean): Shapes =>
    Object.fromEntries(Object.entries(shapes).filter(([name]) => isWanted(name)))
  const unet = writeRuleModel(
    folder('unet'),
    only((name) => name.startsWith(UNET)),
  )
  const text = writeRuleModel(
    folder('text'),
    only((name) => !name.startsWith(UNET)),
  )
  const lora = writeSafetensors(folder('lora.safetensors'), madeLora().tensors)
  const files = createModelFiles()
  t.match(await loraDoubt(files, lora, [text]), /changes nothing/)
  t.equal(await loraDoubt(files, lora, [text, unet]), undefined)
})

t.test('a LoRA that fits nothing, such as a whole checkpoint, changes nothing', async (t) => {
  const { path, tensors } = (await checkpointOf(t.testdir())).file
  const doubt = await loraDoubt(createModelFiles(), path, [path])
  t.match(doubt, `The LoRA ${path} changes nothing: none of its ${tensors.size} tensors fits`)
})
