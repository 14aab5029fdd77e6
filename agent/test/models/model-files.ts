/**
 * Small model files for tests: any tensors in any type, and the goldens' networks, whose
 * weights follow from their names (dev/goldens/rule.py).
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

export type StoredType = 'F64' | 'F32' | 'F16' | 'BF16' | 'F8_E4M3' | 'F8_E5M2'

export interface StoredTensor {
  readonly shape: readonly number[]
  readonly values: ArrayLike<number>
  /** F32 unless given. */
  readonly dtype?: StoredType
}

export interface StoredTensors {
  readonly [name: string]: StoredTensor
}

/** Writes a .safetensors file and returns its path. */
export function writeSafetensors(
  path: string,
  tensors: StoredTensors,
  metadata?: { readonly [key: string]: string },
): string {
  const header: { [name: string]: unknown } = metadata ? { __metadata__: metadata } : {}
  const data: Buffer[] = []
  let end = 0
  for (const [name, { shape, values, dtype = 'F32' }] of Object.entries(tensors)) {
    const bytes = encode(values, dtype)
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length] }
    data.push(bytes)
    end += bytes.length
  }
  writeRaw(path, JSON.stringify(header), Buffer.concat(data))
  return path
}

/** A file with a header as given, for headers that no writer would write. */
export function writeRaw(path: string, header: string, data: Uint8Array): string {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)))
  writeFileSync(path, Buffer.concat([length, Buffer.from(header), data]))
  return path
}

function encode(values: ArrayLike<number>, dtype: StoredType): Buffer {
  if (dtype === 'F32') return Buffer.from(Float32Array.from(values).buffer)
  const width = dtype.startsWith('F8') ? 1 : dtype.endsWith('16') ? 2 : 8
  const bytes = Buffer.alloc(values.length * width)
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number
    const at = index * width
    if (dtype === 'F64') bytes.writeDoubleLE(value, at)
    else if (dtype === 'F16') bytes.writeUInt16LE(toSmallFloat(value, 5, 10), at)
    else if (dtype === 'BF16') bytes.writeUInt16LE(toSmallFloat(value, 8, 7), at)
    else if (dtype === 'F8_E5M2') bytes.writeUInt8(toSmallFloat(value, 5, 2), at)
    else bytes.writeUInt8(toSmallFloat(value, 4, 3), at)
  }
  return bytes
}

const float = new Float32Array(1)
const floatBits = new Uint32Array(float.buffer)

/** The nearest float of a smaller format, ties to even, as bits. Finite values in range only. */
function toSmallFloat(value: number, exponentBits: number, fractionBits: number): number {
  const bias = 2 ** (exponentBits - 1) - 1
  float[0] = value
  const bits = floatBits[0]!
  const sign = (bits >>> 31) << (exponentBits + fractionBits)
  const magnitude = Math.abs(value)
  if (magnitude < 2 ** (1 - bias)) {
    // Subnormal: a count of the smallest steps.
    const steps = magnitude * 2 ** (bias - 1 + fractionBits)
    const down = Math.floor(steps)
    return sign + (steps - down > 0.5 || (steps - down === 0.5 && down % 2) ? down + 1 : down)
  }
  const cut = 23 - fractionBits
  const rounded = (bits & 0x7fffffff) + (1 << (cut - 1)) - 1 + ((bits >>> cut) & 1)
  // A carry out of the fraction moves into the exponent by itself.
  return sign + (rounded >>> cut) - ((127 - bias) << fractionBits)
}

const ROOT_OF_3 = Math.sqrt(3)

/** The goldens' numbers for a name: uniform, of the given deviation around the base. */
export function ruleValues(name: string, count: number, scale = 1, base = 0): Float32Array {
  const seed = crc32(name)
  return new Float32Array(count).map((_, index) => {
    let h = (seed + Math.imul(index, 0x9e3779b9)) >>> 0
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    h = (h ^ (h >>> 16)) >>> 0
    return base + ((h / 2 ** 32) * 2 - 1) * ROOT_OF_3 * scale
  })
}

const known = new Map<string, Float32Array>()

/** Shared between callers, who must not write to it. */
export function ruleWeight(name: string, shape: readonly number[]): Float32Array {
  const key = `${name} ${shape}`
  const weight = known.get(key) ?? makeRuleWeight(name, shape)
  known.set(key, weight)
  return weight
}

function makeRuleWeight(name: string, shape: readonly number[]): Float32Array {
  const count = shape.reduce((product, size) => product * size, 1)
  if (name.endsWith('.bias')) return ruleValues(name, count, 0.1)
  if (name.endsWith('embedding.weight')) return ruleValues(name, count, 0.5)
  if (shape.length === 1) return ruleValues(name, count, 0.1, 1)
  return ruleValues(name, count, 1 / Math.sqrt(count / shape[0]!))
}

export interface Shapes {
  readonly [name: string]: readonly number[]
}

/** The goldens' weights for these names. */
export function ruleTensors(shapes: Shapes, dtype: StoredType = 'F32'): StoredTensors {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      { shape, values: ruleWeight(name, shape), dtype },
    ]),
  )
}

export function writeRuleModel(
  folder: string,
  shapes: Shapes,
  { dtype = 'F32', name = 'model' }: { dtype?: StoredType; name?: string } = {},
): string {
  return writeSafetensors(join(folder, `${name}.safetensors`), ruleTensors(shapes, dtype))
}
