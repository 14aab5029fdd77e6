/**
 * LoRA files made for tests, and the checkpoints that they should amount to: their changes
 * merged into the weights here, in plain loops.
 */
import { join } from 'node:path'
import { type Lora, openLora } from '../../../../src/executors/native/graphs/lora.ts'
import { buildTextEncoderGraph } from '../../../../src/executors/native/graphs/text-encoder.ts'
import { buildUnetGraph } from '../../../../src/executors/native/graphs/unet.ts'
import { type Checkpoint, describeCheckpoint } from '../../../../src/models/family.ts'
import { openSafetensors } from '../../../../src/models/safetensors.ts'
import {
  ruleTensors,
  ruleValues,
  type Shapes,
  type StoredTensors,
  writeSafetensors,
} from '../../../models/model-files.ts'
import { networkCases } from './network-goldens.ts'
import { plain, runGraph } from './run-graph.ts'

export const UNET = 'model.diffusion_model.'
export const TEXT = 'cond_stage_model.transformer.text_model.'
export const shapes: Shapes = {
  ...networkCases('unet')[0]!.shapes,
  ...networkCases('text')[0]!.shapes,
  // Tokens are looked up by the caller, so that their table may be short.
  [`${TEXT}embeddings.token_embedding.weight`]: [8, 64],
}
export const size = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1)

/** Numbers of a row-major matrix. */
export interface Matrix {
  readonly rows: number
  readonly columns: number
  readonly values: Float32Array
}

export function product(a: Matrix, b: Matrix): Matrix {
  const values = new Float32Array(a.rows * b.columns)
  for (let row = 0; row < a.rows; row++) {
    for (let column = 0; column < b.columns; column++) {
      let sum = 0
      for (let k = 0; k < a.columns; k++) {
        sum += a.values[row * a.columns + k]! * b.values[k * b.columns + column]!
      }
      values[row * b.columns + column] = sum
    }
  }
  return { rows: a.rows, columns: b.columns, values }
}

/** Factors are small enough to keep the network sane and large enough to matter. */
export function random(name: string, rows: number, columns: number): Matrix {
  return { rows, columns, values: ruleValues(name, rows * columns, 0.3 / Math.sqrt(rows)) }
}

export const tensor = ({ values }: Matrix, ...shape: number[]) => ({ shape, values })

/** What a LoRA adds to the checkpoint's tensors at strength 1. */
export type Changes = { [checkpointTensor: string]: Float32Array }

export interface MadeLora {
  readonly tensors: { [name: string]: StoredTensors[string] }
  readonly changes: Changes
}

export const RANK = 4

/** Adds a low-rank pair for a module, under the names that `name` makes. */
export function addPair(
  made: MadeLora,
  module: string,
  name: (part: 'up' | 'down') => string,
  alpha?: { readonly name: string; readonly value: number },
): void {
  const shape = shapes[`${module}.weight`]!
  const [out, ...rest] = shape as [number, ...number[]]
  const up = random(name('up'), out, RANK)
  const down = random(name('down'), RANK, size(rest))
  const linear = shape.length === 2
  made.tensors[name('up')] = tensor(up, out, RANK, ...(linear ? [] : [1, 1]))
  made.tensors[name('down')] = tensor(down, RANK, ...rest)
  if (alpha) made.tensors[alpha.name] = { shape: [], values: [alpha.value] }
  const scale = alpha ? alpha.value / RANK : 1
  made.changes[`${module}.weight`] = product(up, down).values.map((value) => value * scale)
}

export async function checkpointOf(
  folder: string,
  changes: readonly { readonly changes: Changes; readonly strength: number }[] = [],
): Promise<Checkpoint> {
  const tensors: { [name: string]: StoredTensors[string] } = { ...ruleTensors(shapes) }
  for (const { changes: change, strength } of changes) {
    for (const [name, delta] of Object.entries(change)) {
      const { shape, values } = tensors[name]!
      tensors[name] = {
        shape,
        values: Float32Array.from(values, (value, index) => value + strength * delta[index]!),
      }
    }
  }
  const path = writeSafetensors(join(folder, `checkpoint-${changes.length}.safetensors`), tensors)
  return describeCheckpoint(await openSafetensors(path))
}

export async function loraOf(
  folder: string,
  name: string,
  { tensors }: MadeLora,
  checkpoint: Checkpoint,
): Promise<Lora> {
  const path = writeSafetensors(join(folder, `${name}.safetensors`), tensors)
  return openLora(await openSafetensors(path), checkpoint)
}

export interface WithLoras {
  readonly loras?: readonly Lora[]
  readonly strengths?: readonly number[]
  readonly weightsFolder?: string
}

export async function predict(
  checkpoint: Checkpoint,
  { strengths = [], ...options }: WithLoras = {},
): Promise<Float32Array> {
  const shape = { batch: 1, height: 8, width: 4, tokens: 77 }
  const { prediction } = await runGraph(
    buildUnetGraph(checkpoint, shape, { dialect: plain, ...options }),
    {
      latent: ruleValues('latent', 4 * 8 * 4),
      timesteps: [321.25],
      context: ruleValues('context', 77 * checkpoint.unet!.contextWidth),
      lora_strengths: strengths,
    },
  )
  return prediction!
}

let plainPrediction: Promise<Float32Array> | undefined

/** What the checkpoint predicts without any LoRA; it is the same one in every test. */
export function predictPlainly(checkpoint: Checkpoint): Promise<Float32Array> {
  plainPrediction ??= predict(checkpoint)
  return plainPrediction
}

export async function encode(
  checkpoint: Checkpoint,
  { loras = [], strengths = [] }: WithLoras = {},
): Promise<Float32Array> {
  const graph = buildTextEncoderGraph(
    checkpoint,
    { chunks: 1, lastLayer: -1 },
    { dialect: plain, loras },
  )
  const { hidden } = await runGraph(graph, {
    embeddings: ruleValues('embeddings', 77 * checkpoint.textEncoder!.width, 0.5),
    end_positions: [5],
    lora_strengths: strengths,
  })
  return hidden!
}

export const underscored = (name: string) => name.replaceAll('.', '_')
