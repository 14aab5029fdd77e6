import { renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { describeCheckpoint } from '../../../../src/models/family.ts'
import { openSafetensors } from '../../../../src/models/safetensors.ts'
import { ruleValues } from '../../../models/model-files.ts'
import {
  addPair,
  checkpointOf,
  encode,
  loraOf,
  type MadeLora,
  predict,
  predictPlainly,
  TEXT,
  UNET,
  underscored,
} from './made-loras.ts'
import { relativeError } from './run-graph.ts'

t.test('low-rank pairs on every kind of layer', async (t) => {
  const folder = t.testdir()
  const made: MadeLora = { tensors: {}, changes: {} }
  for (const module of [
    'time_embed.0',
    'input_blocks.0.0',
    'input_blocks.1.0.in_layers.2',
    'input_blocks.1.0.emb_layers.1',
    'input_blocks.1.1.proj_in',
    'input_blocks.1.1.transformer_blocks.0.attn1.to_q',
    'input_blocks.1.1.transformer_blocks.0.ff.net.0.proj',
    'input_blocks.2.0.op',
    'middle_block.1.transformer_blocks.0.attn2.to_v',
    'middle_block.1.proj_out',
    'output_blocks.0.0.skip_connection',
    'output_blocks.1.2.conv',
    'out.2',
  ]) {
    const path = `lora_unet_${underscored(module)}`
    const alpha = { name: `${path}.alpha`, value: 2 }
    addPair(made, `${UNET}${module}`, (part) => `${path}.lora_${part}.weight`, alpha)
  }
  const checkpoint = await checkpointOf(folder)
  const lora = await loraOf(folder, 'lora', made, checkpoint)
  t.same(lora.unmatched, [])
  const found = await predict(checkpoint, { loras: [lora], strengths: [0.7] })
  const wanted = await predict(await checkpointOf(folder, [{ ...made, strength: 0.7 }]))
  t.ok(relativeError(found, wanted) < 1e-4, 'as with merged weights')
  t.ok(relativeError(found, await predictPlainly(checkpoint)) > 0.05, 'unlike without')
})

t.test('text encoders, by the names of kohya and of diffusers', async (t) => {
  const folder = t.testdir()
  const checkpoint = await checkpointOf(folder)
  const layers = ['self_attn.q_proj', 'self_attn.out_proj', 'mlp.fc1', 'mlp.fc2']
  for (const [index, spell] of [
    (path: string, part: string) => `lora_te_text_model_${underscored(path)}.lora_${part}.weight`,
    (path: string, part: string) => `lora_te1_text_model_${underscored(path)}.lora_${part}.weight`,
    (path: string, part: string) =>
      `text_encoder.text_model.${path}.lora_linear_layer.${part}.weight`,
    (path: string, part: string) =>
      `text_encoder.text_model.${path}.lora_${part === 'up' ? 'B' : 'A'}.weight`,
  ].entries()) {
    const made: MadeLora = { tensors: {}, changes: {} }
    for (const layer of layers) {
      addPair(made, `${TEXT}encoder.layers.1.${layer}`, (part) =>
        spell(`encoder.layers.1.${layer}`, part),
      )
    }
    const lora = await loraOf(folder, `lora-${index}`, made, checkpoint)
    t.same(lora.unmatched, [])
    const found = await encode(checkpoint, { loras: [lora], strengths: [1] })
    const merged = await checkpointOf(folder, [{ ...made, strength: 1 }])
    t.ok(relativeError(found, await encode(merged)) < 1e-4, `spelling ${index}`)
    t.ok(relativeError(found, await encode(checkpoint)) > 0.05)
  }
})

t.test('several LoRAs add up; strengths are inputs of one graph', async (t) => {
  const folder = t.testdir()
  const checkpoint = await checkpointOf(folder)
  const made = ['a', 'b'].map((which) => {
    const one: MadeLora = { tensors: {}, changes: {} }
    for (const module of ['input_blocks.1.1.transformer_blocks.0.attn1.to_q', 'out.2']) {
      addPair(one, `${UNET}${module}`, (part) => `${which}.${module}.lora_${part}.weight`)
    }
    return one
  })
  const named = made.map(({ tensors, changes }) => ({
    changes,
    tensors: Object.fromEntries(
      Object.entries(tensors).map(([name, value]) => [`diffusion_model${name.slice(1)}`, value]),
    ),
  }))
  const loras = [
    await loraOf(folder, 'a', named[0]!, checkpoint),
    await loraOf(folder, 'b', named[1]!, checkpoint),
  ]
  const found = await predict(checkpoint, { loras, strengths: [0.5, -1.25] })
  const merged = await checkpointOf(folder, [
    { ...made[0]!, strength: 0.5 },
    { ...made[1]!, strength: -1.25 },
  ])
  t.ok(relativeError(found, await predict(merged)) < 1e-4)
  const off = await predict(checkpoint, { loras, strengths: [0, 0] })
  t.ok(relativeError(off, await predictPlainly(checkpoint)) < 1e-6)
})

t.test("a LoRA outside of a session's folder is copied into the model", async (t) => {
  const folder = t.testdir({ elsewhere: {} })
  const checkpoint = await checkpointOf(folder)
  const made: MadeLora = { tensors: {}, changes: {} }
  addPair(made, `${UNET}out.2`, (part) => `lora_unet_conv_out.lora_${part}.weight`)
  const lora = await loraOf(folder, 'lora', made, checkpoint)
  const moved = join(folder, 'elsewhere', 'checkpoint.safetensors')
  renameSync(checkpoint.file.path, moved)
  const elsewhere = describeCheckpoint(await openSafetensors(moved))
  const feeds = { loras: [lora], strengths: [1], weightsFolder: dirname(moved) }
  const found = await predict(elsewhere, feeds)
  t.same(found, await predict(elsewhere, { loras: [lora], strengths: [1] }))
})

/** How trainers call the two halves of a pair. */
const pairNames: readonly ((path: string, part: 'up' | 'down') => string)[] = [
  (path, part) => `lora_unet_${underscored(path)}.lora_${part}.weight`,
  (path, part) => `diffusion_model.${path}.lora_${part === 'up' ? 'B' : 'A'}.weight`,
  (path, part) => `diffusion_model.${path}.lora_${part === 'up' ? 'B' : 'A'}.default.weight`,
  (path, part) => `diffusion_model.${path}.lora_${part === 'up' ? 'B' : 'A'}`,
  (path, part) => `diffusion_model.${path}_lora.${part}.weight`,
  (path, part) => `diffusion_model.${path}.lora.${part}.weight`,
  (path, part) => `diffusion_model.${path}.lora_linear_layer.${part}.weight`,
]

t.test('names of the two halves', async (t) => {
  const folder = t.testdir()
  const checkpoint = await checkpointOf(folder)
  for (const name of pairNames) {
    const made: MadeLora = { tensors: {}, changes: {} }
    addPair(made, `${UNET}out.2`, (part) => name('out.2', part))
    const { patches, unmatched } = await loraOf(folder, 'lora', made, checkpoint)
    t.same(unmatched, [], name('out.2', 'up'))
    t.match(patches.get(`${UNET}out.2.weight`), {
      kind: 'low-rank',
      up: name('out.2', 'up'),
      down: name('out.2', 'down'),
    })
  }
})

t.test('what does not belong to the checkpoint is listed, never dropped', async (t) => {
  const folder = t.testdir()
  const checkpoint = await checkpointOf(folder)
  const made: MadeLora = { tensors: {}, changes: {} }
  addPair(made, `${UNET}out.2`, (part) => `lora_unet_conv_out.lora_${part}.weight`)
  const stranger = { shape: [4, 9], values: ruleValues('x', 36) }
  Object.assign(made.tensors, {
    'lora_unet_down_blocks_7_attentions_0_proj_in.lora_up.weight': stranger,
    'lora_unet_conv_in.lora_up.weight': stranger,
    'lora_unet_conv_in.lora_down.weight': stranger,
    'lora_unet_time_embedding_linear_1.oft_blocks': stranger,
    'something.else': stranger,
  })
  const lora = await loraOf(folder, 'lora', made, checkpoint)
  t.same([...lora.patches.keys()], [`${UNET}out.2.weight`])
  t.same(lora.unmatched.toSorted(), [
    'lora_unet_conv_in.lora_down.weight',
    'lora_unet_conv_in.lora_up.weight',
    'lora_unet_down_blocks_7_attentions_0_proj_in.lora_up.weight',
    'lora_unet_time_embedding_linear_1.oft_blocks',
    'something.else',
  ])
})
