/**
 * The model that ships with the program, cut into files of its networks: so that one machine of
 * the demo can have what another lacks.
 */
import { createReadStream, createWriteStream, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { shippedModels } from '../../models/model-paths.ts'
import { openSafetensors, type Safetensors, type TensorEntry } from '../../models/safetensors.ts'
import { UsageError } from '../arguments.ts'

/** A network, where ComfyUI keeps such files, and how its tensors are called in a checkpoint. */
export const modelParts = {
  text: { file: 'text_encoders/demo-text.safetensors', prefix: 'cond_stage_model.transformer.' },
  unet: { file: 'diffusion_models/demo-unet.safetensors', prefix: 'model.diffusion_model.' },
  vae: { file: 'vae/demo-vae.safetensors', prefix: 'first_stage_model.' },
} as const

export type ModelPart = keyof typeof modelParts

/** Writes some networks of the shipped model below a `models` folder. */
export async function writeModelParts(folder: string, parts: readonly ModelPart[]): Promise<void> {
  const checkpoint = await openSafetensors(shippedCheckpoint())
  for (const part of parts) {
    const { file, prefix } = modelParts[part]
    await writePart(checkpoint, prefix, join(folder, file))
  }
}

function shippedCheckpoint(): string {
  const folder = join(shippedModels, 'checkpoints')
  const name = readdirSync(folder).find((file) => file.endsWith('.safetensors'))
  if (name !== undefined) return join(folder, name)
  throw new UsageError(`The model that ships with comfymesh is missing from ${shippedModels}.`)
}

/** Tensors in the order in which they lie in the checkpoint, their names without the prefix. */
async function writePart(checkpoint: Safetensors, prefix: string, path: string): Promise<void> {
  const tensors = [...checkpoint.tensors]
    .filter(([name]) => name.startsWith(prefix))
    .sort(([, a], [, b]) => a.offset - b.offset)
  mkdirSync(dirname(path), { recursive: true })
  const bytes = async function* () {
    yield headerOf(tensors, prefix, checkpoint.metadata)
    for (const [, { offset, byteLength }] of tensors) {
      if (byteLength === 0) continue
      yield* createReadStream(checkpoint.path, { start: offset, end: offset + byteLength - 1 })
    }
  }
  await pipeline(bytes, createWriteStream(path))
}

/** Format: https://github.com/huggingface/safetensors#format */
function headerOf(
  tensors: readonly (readonly [string, TensorEntry])[],
  prefix: string,
  metadata: Safetensors['metadata'],
): Buffer {
  let end = 0
  const entries = tensors.map(([name, { dtype, shape, byteLength }]) => {
    const start = end
    end += byteLength
    return [name.slice(prefix.length), { dtype, shape, data_offsets: [start, end] }]
  })
  const json = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) })
  // Tensors begin at a multiple of 8; spaces are what the format fills up with.
  const text = Buffer.from(json.padEnd(Math.ceil(Buffer.byteLength(json) / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text])
}
