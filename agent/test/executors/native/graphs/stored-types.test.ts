import { join } from 'node:path'
import t from 'tap'
import { buildDecoderGraph } from '../../../../src/executors/native/graphs/autoencoder.ts'
import type { Dialect } from '../../../../src/executors/native/graphs/network-graph.ts'
import { buildUnetGraph } from '../../../../src/executors/native/graphs/unet.ts'
import { type Checkpoint, describeCheckpoint } from '../../../../src/models/family.ts'
import { openSafetensors } from '../../../../src/models/safetensors.ts'
import { readTensor } from '../../../../src/models/tensor-values.ts'
import { goldenTensors } from '../../../goldens.ts'
import {
  ruleTensors,
  ruleValues,
  type StoredTensors,
  type StoredType,
  writeSafetensors,
} from '../../../models/model-files.ts'
import { inputValues, networkCases, openCase } from './network-goldens.ts'
import { fused, plain, relativeError, runGraph } from './run-graph.ts'

const unets = networkCases('unet')
const shape = { batch: 1, height: 4, width: 6, tokens: 77 }

async function predict(checkpoint: Checkpoint, dialect: Dialect = plain): Promise<Float32Array> {
  const { latentChannels, contextWidth } = checkpoint.unet!
  const { prediction } = await runGraph(buildUnetGraph(checkpoint, shape, { dialect }), {
    latent: ruleValues('latent', latentChannels * shape.height * shape.width),
    timesteps: [321.25],
    context: ruleValues('context', shape.tokens * contextWidth),
  })
  return prediction!
}

/** The same numbers as a file holds, in float32. */
async function widened(checkpoint: Checkpoint, path: string): Promise<Checkpoint> {
  const tensors: { [name: string]: StoredTensors[string] } = {}
  for (const [name, entry] of checkpoint.file.tensors) {
    tensors[name] = { shape: entry.shape, values: await readTensor(checkpoint.file, name) }
  }
  return describeCheckpoint(await openSafetensors(writeSafetensors(path, tensors)))
}

for (const dtype of ['F64', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2'] satisfies StoredType[]) {
  t.test(`weights stored as ${dtype} count as what they say`, async (t) => {
    const folder = t.testdir()
    const stored = await openCase(folder, unets[0]!, dtype)
    const wide = await widened(stored, join(folder, 'wide.safetensors'))
    for (const dialect of [plain, fused]) {
      const [found, wanted] = [await predict(stored, dialect), await predict(wide, dialect)]
      t.ok(relativeError(found, wanted) < 1e-4, `casts: ${dialect.casts}`)
    }
  })
}

t.test('weights may begin at any byte, in files of any name', async (t) => {
  const folder = t.testdir({ 'ünet ✿ #1': {} })
  const path = join(folder, 'ünet ✿ #1', 'mödel %20 v1.0.safetensors')
  const odd = { pad: { shape: [1], values: [0], dtype: 'F8_E4M3' as const } }
  writeSafetensors(path, { ...odd, ...ruleTensors(unets[0]!.shapes) })
  const checkpoint = describeCheckpoint(await openSafetensors(path))
  const usual = await openCase(folder, unets[0]!)
  t.same(await predict(checkpoint), await predict(usual))
})

t.test('computing in half precision comes close', async (t) => {
  const checkpoint = await openCase(t.testdir(), unets[0]!)
  const half = await predict(checkpoint, { ...plain, compute: 'f16' })
  t.ok(relativeError(half, await predict(checkpoint)) < 0.05)
})

t.test('an autoencoder in diffusers format decodes the same', async (t) => {
  const [vae] = networkCases('vae')
  const levels = 2
  const rename = (name: string) =>
    name
      .replace('first_stage_model.', '')
      .replace(/mid\.attn_1\.norm/, 'mid_block.attentions.0.group_norm')
      .replace(/mid\.attn_1\.([qkv])\b/, 'mid_block.attentions.0.to_$1')
      .replace('mid.attn_1.proj_out', 'mid_block.attentions.0.to_out.0')
      .replace('mid.block_1', 'mid_block.resnets.0')
      .replace('mid.block_2', 'mid_block.resnets.1')
      .replace(/down\.(\d)\.block/, 'down_blocks.$1.resnets')
      .replace(/down\.(\d)\.downsample/, 'down_blocks.$1.downsamplers.0')
      .replace(/up\.(\d)\.block/, (_, level) => `up_blocks.${levels - 1 - Number(level)}.resnets`)
      .replace(/up\.(\d)\.upsample/, (_, up) => `up_blocks.${levels - 1 - Number(up)}.upsamplers.0`)
      .replace('norm_out', 'conv_norm_out')
      .replace('nin_shortcut', 'conv_shortcut')
  const tensors = Object.entries(ruleTensors(vae!.shapes)).map(([name, tensor]) => {
    const matrix = /attn_1\.([qkv]|proj_out)\.weight/.test(name)
    return [rename(name), matrix ? { ...tensor, shape: tensor.shape.slice(0, 2) } : tensor]
  })
  const folder = t.testdir()
  const path = join(folder, 'vae.safetensors')
  writeSafetensors(path, Object.fromEntries(tensors))
  const checkpoint = describeCheckpoint(await openSafetensors(path))
  const [run] = vae!.runs
  const [, , height, width] = run!.inputs.latent!.shape as [number, number, number, number]
  const decoder = (one: Checkpoint) =>
    runGraph(buildDecoderGraph(one, { batch: 1, height, width }, { dialect: plain }), {
      latent: inputValues(run!.inputs.latent!),
    })
  const { pixels } = await decoder(checkpoint)
  t.same(pixels, (await decoder(await openCase(folder, vae!))).pixels)
  t.equal(pixels!.length, goldenTensors('networks')(run!.outputs.decoded!).data.length)
})
