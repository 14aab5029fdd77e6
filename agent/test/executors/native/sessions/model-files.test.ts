/** Opened model files, and what the user is told of them. */
import { join } from 'node:path'
import t from 'tap'
import { createModelFiles } from '../../../../src/executors/native/sessions/model-files.ts'
import { writeSafetensors } from '../../../models/model-files.ts'
import { addPair, checkpointOf, type MadeLora, UNET, underscored } from '../graphs/made-loras.ts'

t.test('a LoRA that fits a model in part only is told of once', async (t) => {
  const folder = t.testdir()
  const checkpoint = await checkpointOf(folder)
  const made: MadeLora = { tensors: {}, changes: {} }
  const module = 'input_blocks.1.1.proj_in'
  addPair(
    made,
    `${UNET}${module}`,
    (part) => `lora_unet_${underscored(module)}.lora_${part}.weight`,
  )
  const odd = { shape: [1], values: [1] }
  const strange = ['lora_te3_x.alpha', 'a.b', 'c', 'd'].map((name) => [name, odd] as const)
  const whole = writeSafetensors(join(folder, 'whole.safetensors'), made.tensors)
  const part = writeSafetensors(join(folder, 'part.safetensors'), {
    ...made.tensors,
    ...Object.fromEntries(strange),
  })
  const warnings: string[] = []
  const files = createModelFiles({ warn: (message) => warnings.push(message) })
  const model = await files.checkpoint(checkpoint.file.path)
  for (const path of [whole, part, part]) await files.lora(path, model)
  await files.lora(part, { ...model, identity: 'the same under another name' })
  t.equal(warnings.length, 1)
  t.match(warnings[0], /^4 of the 6 tensors of the LoRA .*part\.safetensors fit no layer/)
  t.match(warnings[0], '(lora_te3_x.alpha, a.b, c, ...)')
})

t.test(
  'a LoRA that fits nothing, such as a whole checkpoint, is said to change nothing',
  async (t) => {
    const checkpoint = await checkpointOf(t.testdir())
    const warnings: string[] = []
    const files = createModelFiles({ warn: (message) => warnings.push(message) })
    const { path, tensors } = checkpoint.file
    await files.lora(path, await files.checkpoint(path))
    t.equal(warnings.length, 1)
    t.match(
      warnings[0],
      `The LoRA ${path} changes nothing: none of its ${tensors.size} tensors fits`,
    )
  },
)
