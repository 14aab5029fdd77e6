import t from 'tap'
import { clipTensors } from '../../src/models/clip-config.ts'
import { type Checkpoint, describeCheckpoint } from '../../src/models/family.ts'
import { countElements, type ElementType, type Safetensors } from '../../src/models/safetensors.ts'
import { unetTensors } from '../../src/models/unet-config.ts'
import { vaeTensors } from '../../src/models/vae-config.ts'
import { goldenCases } from '../goldens.ts'
import { fullCheckpoint, fullClip, fullUnet, fullVae } from './full-size-shapes.ts'
import type { Shapes } from './model-files.ts'

/** A header without a file: families are found without reading a weight. */
function header(
  shapes: Shapes,
  metadata: Safetensors['metadata'] = {},
  dtype: ElementType = 'F16',
): Safetensors {
  const tensors = Object.entries(shapes).map(
    ([name, shape]) => [name, { dtype, shape, offset: 0, byteLength: 0 }] as const,
  )
  return { path: '/models/some.safetensors', fileBytes: 0, tensors: new Map(tensors), metadata }
}

const goldens = goldenCases<{ kind: string; name: string; shapes: Shapes; config: UnetGolden }>(
  'networks',
)
interface UnetGolden {
  readonly model_channels: number
  readonly channel_mult: readonly number[]
  readonly num_res_blocks: readonly number[]
  readonly context_dim: number
  readonly transformer_depth: readonly number[]
  readonly transformer_depth_middle: number
  readonly transformer_depth_output: readonly number[]
}

const full: Shapes = {
  ...fullCheckpoint,
  // Training's leftovers, which real checkpoints are full of.
  betas: [1000],
  'model_ema.diffusion_modelinput_blocks00weight': [320, 4, 3, 3],
  'cond_stage_model.logit_scale': [],
}

const parameters = (tensors: Iterable<[name: string, shape: readonly number[]]>) =>
  [...tensors].reduce((total, [, shape]) => total + countElements(shape), 0)

t.test('Stable Diffusion 1.5 in full size', async (t) => {
  const { unet, textEncoder, vae, ...rest } = describeCheckpoint(header(full))
  t.match(rest, { family: 'sd1', prediction: 'epsilon', latentScale: 0.18215, latentRgb: null })

  t.match(unet, { modelChannels: 320, timeWidth: 1280, latentChannels: 4, contextWidth: 768 })
  t.equal(unet!.downscale, 8)
  t.equal(parameters(unetTensors(unet!)), 859_520_964)
  const layers = [...unet!.inputBlocks, unet!.middleBlock, ...unet!.outputBlocks].flat()
  const transformers = layers.filter((one) => one.kind === 'transformer')
  t.equal(transformers.length, 16)
  t.ok(transformers.every(({ heads, depth }) => heads === 8 && depth === 1))
  t.notOk(transformers.some(({ linearProjection }) => linearProjection))

  t.match(textEncoder, { width: 768, heads: 12, layers: 12, positions: 77, vocabulary: 49408 })
  t.equal(parameters(clipTensors(textEncoder!)), 123_060_480)

  t.match(vae, { latentChannels: 4, downscale: 8 })
  t.equal(parameters(vaeTensors(vae!)), 83_653_863)
})

for (const { kind, name, shapes, config } of goldens) {
  if (kind !== 'unet') continue
  t.test(`${name}: its sizes`, async (t) => {
    const { unet } = describeCheckpoint(header(shapes))
    t.equal(unet!.modelChannels, config.model_channels)
    t.equal(unet!.contextWidth, config.context_dim)
    t.equal(unet!.downscale, 2 ** (config.channel_mult.length - 1))
    const depths = (blocks: NonNullable<Checkpoint['unet']>['inputBlocks']) =>
      blocks
        .filter((block) => block.some(({ kind: layerKind }) => layerKind === 'residual'))
        .map((block) => block.find((one) => one.kind === 'transformer')?.depth ?? 0)
    t.same(depths(unet!.inputBlocks), config.transformer_depth)
    t.same(depths([unet!.middleBlock]), [config.transformer_depth_middle])
    t.same(depths(unet!.outputBlocks), config.transformer_depth_output.toReversed())
  })
}

t.test('parts on their own', async (t) => {
  const bare = describeCheckpoint(header(fullVae('')))
  t.match(bare.vae, { latentChannels: 4, downscale: 8 })
  t.notOk(bare.unet || bare.textEncoder)
  const decoder = Object.entries(fullVae('')).filter(([name]) => !/^(encoder|quant)/.test(name))
  const decoderOnly = describeCheckpoint(header(Object.fromEntries(decoder)))
  t.ok(decoderOnly.vae!.decoder && !decoderOnly.vae!.encoder)
  const older = describeCheckpoint(header(fullClip('cond_stage_model.transformer.')))
  t.equal(older.textEncoder!.root, 'cond_stage_model.transformer')
})

t.test('linear projections mean heads of 64, as in Stable Diffusion 2', async (t) => {
  const linear = Object.entries(fullUnet).map(([name, shape]) => [
    name,
    /proj_(in|out)\.weight$/.test(name) ? shape.slice(0, 2) : shape,
  ])
  const { unet } = describeCheckpoint(header(Object.fromEntries(linear)))
  const transformers = unet!.inputBlocks.flat().filter((one) => one.kind === 'transformer')
  t.same(
    transformers.map(({ heads }) => heads),
    [5, 5, 10, 10, 20, 20],
  )
})

t.test('v-prediction is what the file says', async (t) => {
  const prediction = (shapes: Shapes, metadata = {}) =>
    describeCheckpoint(header({ ...fullUnet, ...shapes }, metadata)).prediction
  t.equal(prediction({ v_pred: [0] }), 'v')
  t.equal(prediction({}, { 'modelspec.prediction_type': 'v' }), 'v')
  t.equal(prediction({}, { 'modelspec.prediction_type': 'v_prediction' }), 'v')
  t.equal(prediction({}, { ss_base_model_version: 'sd_v1_v' }), 'v')
  t.equal(prediction({}, { 'modelspec.prediction_type': 'epsilon' }), 'epsilon')
})

t.test('the preview matrix comes from the metadata', async (t) => {
  const read = (text: string) =>
    describeCheckpoint(header(fullVae(''), { 'comfymesh.latent_rgb': text })).latentRgb
  const matrix = { factors: [[1, 2, 3]], bias: [4, 5, 6] }
  t.same(read(JSON.stringify(matrix)), matrix)
  for (const text of ['', 'null', '{}', '{"factors":[[1,2]],"bias":[4,5,6]}', '{"factors":[]}']) {
    t.equal(read(text), null, text)
  }
})

const unsupported: { readonly [says: string]: Shapes } = {
  'Stable Diffusion XL': {
    ...fullUnet,
    'conditioner.embedders.0.transformer.text_model.final_layer_norm.weight': [768],
  },
  'Stable Diffusion 2': { ...fullUnet, 'cond_stage_model.model.ln_final.weight': [1024] },
  'Stable Diffusion 3': {
    'model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight': [4608, 1536],
  },
  Flux: { 'double_blocks.0.img_attn.qkv.weight': [9216, 3072] },
  'T5 text encoder': { 'encoder.block.0.layer.0.SelfAttention.q.weight': [4096, 4096] },
  ControlNet: { 'control_model.input_hint_block.0.weight': [16, 3, 3, 3] },
  LoRA: { 'lora_unet_mid_block_attentions_0_proj_in.lora_down.weight': [4, 1280] },
  inpainting: { ...fullUnet, 'model.diffusion_model.input_blocks.0.0.weight': [320, 9, 3, 3] },
  InstructPix2Pix: {
    ...fullUnet,
    'model.diffusion_model.input_blocks.0.0.weight': [320, 8, 3, 3],
  },
  'not known': { 'some.tensor': [5] },
}

for (const [says, shapes] of Object.entries(unsupported)) {
  t.test(`${says} is named and refused`, async (t) => {
    t.throws(() => describeCheckpoint(header(shapes)), {
      code: 'unsupported_model',
      message: new RegExp(says),
    })
  })
}

t.test('quantized weights are refused', async (t) => {
  for (const type of ['I8', 'F4', 'F8_E8M0'] as const) {
    t.throws(() => describeCheckpoint(header(fullUnet, {}, type)), {
      code: 'unsupported_model',
      message: new RegExp(`weights of type ${type}`),
    })
  }
  const scale = { 'model.diffusion_model.out.2.scale_weight': [1] }
  t.throws(() => describeCheckpoint(header({ ...fullUnet, ...scale }, {}, 'F8_E4M3')), {
    code: 'unsupported_model',
    message: /with scales \(.*out\.2\.scale_weight\)/,
  })
})

function without(pattern: RegExp): Safetensors {
  return header(Object.fromEntries(Object.entries(full).filter(([name]) => !pattern.test(name))))
}

const incomplete: { readonly [what: string]: [gone: RegExp, message: RegExp] } = {
  'one bias': [/input_blocks\.1\.0\.in_layers\.2\.bias/, /lacks .*in_layers\.2\.bias\./],
  'many tensors': [/\.attn2\.to_v\.weight/, /attn2\.to_v\.weight, .* and 13 more/],
  'the first convolution': [/input_blocks\.0\.0\.weight/, /input_blocks\.0\.0/],
  'a block in the middle': [/diffusion_model\.input_blocks\.4\./, /input_blocks\.4\.\*/],
  'the last output block': [/output_blocks\.11\./, /output_blocks\.11\.\*/],
  'the middle block': [/middle_block\./, /middle_block\.\*/],
  'the time embedding': [/time_embed\.0\.weight/, /time_embed\.0\.weight/],
  'a text layer': [/encoder\.layers\.3\./, /encoder\.layers\.3\.\*/],
  'the token table': [/token_embedding/, /token_embedding/],
  'a level of the decoder': [/decoder\.up\.1\./, /decoder\.up\.1\.\*/],
  'the last convolution': [/decoder\.conv_out\.bias/, /decoder\.conv_out\.bias/],
}

for (const [what, [gone, message]] of Object.entries(incomplete)) {
  t.test(`${what} missing`, async (t) => {
    t.throws(() => describeCheckpoint(without(gone)), { code: 'malformed_file', message })
  })
}

t.test('shapes that do not fit each other', async (t) => {
  const name = 'model.diffusion_model.output_blocks.5.1.proj_in.weight'
  t.throws(() => describeCheckpoint(header({ ...full, [name]: [640, 320, 1, 1] })), {
    code: 'malformed_file',
    message: /proj_in\.weight has the shape \[640,320,1,1\] instead of \[1280,1280,1,1\]/,
  })
})

t.test('a network in a file of its own', async (t) => {
  const part = (prefix: string) =>
    Object.fromEntries(
      Object.entries(full)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, shape]) => [name.slice(prefix.length), shape]),
    )
  const whole = describeCheckpoint(header(full))
  const { unet, textEncoder, vae } = describeCheckpoint(header(part('model.diffusion_model.')))
  t.strictSame(unet, whole.unet)
  t.same([textEncoder, vae], [undefined, undefined])
  const text = describeCheckpoint(header(part('cond_stage_model.transformer.')))
  t.strictSame(text.textEncoder, whole.textEncoder)
  t.same([text.unet, text.vae], [undefined, undefined])
})
