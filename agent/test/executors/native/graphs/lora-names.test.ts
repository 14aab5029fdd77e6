import t from 'tap'
import { moduleNames } from '../../../../src/executors/native/graphs/lora-names.ts'
import { describeCheckpoint } from '../../../../src/models/family.ts'
import type { Safetensors } from '../../../../src/models/safetensors.ts'
import { shapes, TEXT, UNET, underscored } from './made-loras.ts'
import { networkCases } from './network-goldens.ts'

/** Two residual blocks a level and three levels, to tell the blocks apart. */
const unet = networkCases('unet').find(({ name }) => name.includes('no-attention'))!

/** A header without a file. */
const tensors = Object.entries({ ...shapes, ...unet.shapes }).filter(
  ([name]) => !name.startsWith(UNET) || name in unet.shapes,
)
const file: Safetensors = {
  path: '/none.safetensors',
  fileBytes: 0,
  tensors: new Map(
    tensors.map(([name, shape]) => [name, { dtype: 'F32', shape, offset: 0, byteLength: 0 }]),
  ),
  metadata: {},
}
const moduleOf = moduleNames(describeCheckpoint(file))

/** Modules in both trees. */
const modules = {
  'down_blocks.1.attentions.1.transformer_blocks.0.attn2.to_k':
    'input_blocks.5.1.transformer_blocks.0.attn2.to_k',
  'up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0':
    'output_blocks.3.1.transformer_blocks.0.attn1.to_out.0',
  'up_blocks.2.attentions.2.transformer_blocks.0.ff.net.0.proj':
    'output_blocks.8.1.transformer_blocks.0.ff.net.0.proj',
  'mid_block.attentions.0.proj_in': 'middle_block.1.proj_in',
  'mid_block.resnets.1.time_emb_proj': 'middle_block.2.emb_layers.1',
  'down_blocks.0.resnets.1.conv1': 'input_blocks.2.0.in_layers.2',
  'down_blocks.2.resnets.0.conv_shortcut': 'input_blocks.7.0.skip_connection',
  'up_blocks.2.resnets.2.conv2': 'output_blocks.8.0.out_layers.3',
  'down_blocks.0.downsamplers.0.conv': 'input_blocks.3.0.op',
  'up_blocks.0.upsamplers.0.conv': 'output_blocks.2.1.conv',
  'up_blocks.1.upsamplers.0.conv': 'output_blocks.5.2.conv',
  'time_embedding.linear_1': 'time_embed.0',
  conv_in: 'input_blocks.0.0',
  conv_out: 'out.2',
} as const

/** Ways of naming a module of the UNet. */
const spellings: {
  readonly [trainer: string]: (diffusers: string, original: string) => string
} = {
  kohya: (diffusers) => `lora_unet_${underscored(diffusers)}`,
  'kohya on the original names': (_, original) => `lora_unet_${underscored(original)}`,
  LyCORIS: (diffusers) => `lycoris_${underscored(diffusers)}`,
  diffusers: (diffusers) => `unet.${diffusers}`,
  'diffusers without a prefix': (diffusers) => diffusers,
  'diffusers of old': (diffusers) =>
    `unet.${diffusers.replace('.to_', '.processor.to_').replace(/to_out\.0$/, 'to_out')}`,
  peft: (diffusers) => `base_model.model.${diffusers}`,
  'peft of old': (diffusers) => `unet.base_model.model.${diffusers}`,
  'generic names': (_, original) => `diffusion_model.${original}`,
}

for (const [trainer, spell] of Object.entries(spellings)) {
  t.test(`the UNet by the names of ${trainer}`, async (t) => {
    for (const [diffusers, original] of Object.entries(modules)) {
      t.equal(moduleOf(spell(diffusers, original)), `${UNET}${original}`)
    }
  })
}

t.test('the text encoder', async (t) => {
  for (const layer of ['self_attn.q_proj', 'self_attn.out_proj', 'mlp.fc1']) {
    const path = `encoder.layers.1.${layer}`
    for (const name of [
      `lora_te_text_model_${underscored(path)}`,
      `lora_te1_text_model_${underscored(path)}`,
      `text_encoder.text_model.${path}`,
      `text_encoders.clip_l.transformer.text_model.${path}`,
    ]) {
      t.equal(moduleOf(name), `${TEXT}${path}`, name)
    }
  }
})

t.test('strangers', async (t) => {
  for (const name of [
    '',
    'lora_unet_',
    'lora_unet_down_blocks_9_resnets_0_conv1',
    'lora_unet_down_blocks_2_attentions_0_proj_in',
    'lora_te2_text_model_encoder_layers_0_mlp_fc1',
    'lora_te_text_model_encoder_layers_2_mlp_fc1',
  ]) {
    t.equal(moduleOf(name), undefined, name)
  }
})
