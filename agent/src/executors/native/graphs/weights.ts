/**
 * A checkpoint's tensors as values of a graph: mapped from their files, cast to the type that
 * the network computes in, with LoRAs applied. layers.ts makes layers of them.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import {
  type ElementType,
  malformedFile,
  type Safetensors,
  type TensorEntry,
} from '../../../models/safetensors.ts'
import type { GraphBuilder, Value } from '../onnx/graph-builder.ts'
import type { OnnxType } from '../onnx/model.ts'
import { cast, gather, multiply } from '../onnx/operators.ts'
import type { Lora, Patch } from './lora.ts'
import type { Dialect } from './network-graph.ts'
import { type CastWeight, weightCaster } from './weight-casts.ts'
import { weightsLocation } from './weight-files.ts'
import { type AppliedPatch, isBranch, type LowRankBranch, patchedWeight } from './weight-patches.ts'

const onnxTypeOf: { readonly [type in ElementType]?: OnnxType } = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F8_E4M3: 'float8e4m3fn',
  F8_E5M2: 'float8e5m2',
}

export interface Weights {
  has(name: string): boolean
  /** A tensor with all patches in it, in the shape given, else in the file's. */
  tensor(name: string, shape?: readonly number[]): Value
  /** The shape of a tensor in the file; empty where the file lacks it. */
  shapeOf(name: string): readonly number[]
  /** A layer's weight in the shape that `shapeOf` makes of the file's, and what runs beside it. */
  layer(
    name: string,
    shapeOf: (shape: readonly number[]) => readonly number[],
  ): { readonly weight: Value; readonly branches: readonly LowRankBranch[] }
  /**
   * A tensor cut into parts of equal size along its first axis; undefined where the file lacks it
   * or patches change it.
   */
  parts(name: string, count: number): readonly Value[] | undefined
}

export interface WeightsOptions {
  readonly file: Safetensors
  readonly loras: readonly Lora[]
  /** [loras], the graph's input; absent without LoRAs. */
  readonly strengths: Value | undefined
  readonly type: 'float32' | 'float16'
  /** See Dialect. */
  readonly casts: Dialect['casts']
  /** See BuildOptions. */
  readonly weightsFolder: string
}

export function openWeights(
  graph: GraphBuilder,
  { file, loras, strengths, type, casts, weightsFolder }: WeightsOptions,
): Weights {
  const map = weightMapper(weightsFolder, weightCaster(graph, type, casts))
  const factorOf = loraFactors(graph, strengths, type)
  const applied = (lora: Lora, patch: Patch, index: number): AppliedPatch => ({
    patch,
    strength: factorOf(index, 1),
    factor: factorOf(index, patch.scale),
    shapeOf: (name) => lora.file.tensors.get(name)!.shape,
    tensor: (name, shape) => map(lora.file, name, { shape, prefix: `lora ${index} ` }),
  })
  const patchesOf = (name: string) =>
    loras.flatMap((lora, index) => {
      const patch = lora.patches.get(name)
      return patch ? [applied(lora, patch, index)] : []
    })
  const fileShape = (name: string) => file.tensors.get(name)?.shape ?? []
  return {
    has: (name) => file.tensors.has(name),
    shapeOf: fileShape,
    tensor(name, shape) {
      const patches = patchesOf(name)
      const weight = map(file, name, { shape })
      return patches.length > 0 ? patchedWeight(graph, weight, patches) : weight
    },
    layer(name, shapeOf) {
      const patches = patchesOf(name)
      const shape = shapeOf(fileShape(name))
      const weight = map(file, name, { shape })
      return patches.every(isBranch)
        ? { weight, branches: patches }
        : { weight: patchedWeight(graph, weight, patches), branches: [] }
    },
    parts(name, count) {
      if (!file.tensors.has(name) || patchesOf(name).length > 0) return undefined
      return Array.from({ length: count }, (_, index) =>
        map(file, name, { part: { index, count } }),
      )
    },
  }
}

/** Strengths times a scale, [1]; most layers of a LoRA share one. */
function loraFactors(graph: GraphBuilder, strengths: Value | undefined, type: OnnxType) {
  const factors = new Map<string, Value>()
  const factorOf = (index: number, scale: number): Value => {
    const key = `${index} ${scale}`
    const known = factors.get(key)
    if (known) return known
    const factor =
      scale === 1
        ? gather(graph, cast(graph, strengths!, type), graph.integers([index]))
        : multiply(graph, factorOf(index, 1), cast(graph, graph.floats([scale]), type))
    factors.set(key, factor)
    return factor
  }
  return factorOf
}

interface Mapping {
  /** That of the file unless given. */
  readonly shape?: readonly number[] | undefined
  /** Only one of so many equal parts along the first axis. */
  readonly part?: { readonly index: number; readonly count: number }
  /** Tells apart tensors of the same name. */
  readonly prefix?: string
}

/** Adds tensors of files to the graph, each once a shape, cast to the type. */
function weightMapper(folder: string, castOf: CastWeight) {
  const mapped = new Map<string, Value>()
  const locations = new Map<Safetensors, string | undefined>()
  const locationOf = (file: Safetensors) => {
    if (!locations.has(file)) locations.set(file, weightsLocation(folder, file.path))
    return locations.get(file)
  }
  return (file: Safetensors, name: string, { shape, part, prefix = '' }: Mapping = {}): Value => {
    const whole = file.tensors.get(name)
    const entry = whole && part ? partOf(whole, part) : whole
    const stored = entry && onnxTypeOf[entry.dtype]
    if (!entry || !stored) {
      throw malformedFile(file.path, `${name} is ${entry ? `of type ${entry.dtype}` : 'missing'}`)
    }
    const declared = shape ?? entry.shape
    const id = `${prefix}${name}${part ? ` part ${part.index}` : ''} [${declared}]`
    const known = mapped.get(id)
    if (known) return known
    const location = locationOf(file)
    const data = location === undefined ? readEntry(file, entry) : { ...entry, location }
    const value = castOf({ id, type: stored, shape: declared, data })
    mapped.set(id, value)
    return value
  }
}

/** Rows lie one after the other, so that a part of them is one piece of the file. */
function partOf(entry: TensorEntry, { index, count }: NonNullable<Mapping['part']>): TensorEntry {
  const [rows = 0, ...rest] = entry.shape
  const byteLength = entry.byteLength / count
  return {
    ...entry,
    shape: [rows / count, ...rest],
    offset: entry.offset + index * byteLength,
    byteLength,
  }
}

function readEntry({ path }: Safetensors, { offset, byteLength }: TensorEntry): Uint8Array {
  const bytes = new Uint8Array(byteLength)
  const descriptor = openSync(path, 'r')
  try {
    if (readSync(descriptor, bytes, 0, byteLength, offset) < byteLength) {
      throw malformedFile(path, 'it was cut while in use')
    }
  } finally {
    closeSync(descriptor)
  }
  return bytes
}
