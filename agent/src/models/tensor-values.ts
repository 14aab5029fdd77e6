/**
 * The elements of single tensors, for what a network needs on the host: token embeddings,
 * textual-inversion vectors, LoRA scalars. The large weights stay in their files.
 *
 * Read at once and not by another thread: only runners read them, which wait for them anyway, and
 * which each hop to a thread and back keeps waiting longer than a few kilobytes do.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import {
  countElements,
  type ElementType,
  malformedFile,
  type Safetensors,
  type TensorEntry,
  unopenedFile,
} from './safetensors.ts'

/** How an element at a byte offset becomes a number; types without a row hold no weights. */
const readElement: { readonly [type in ElementType]?: (view: DataView, at: number) => number } = {
  F64: (view, at) => view.getFloat64(at, true),
  F32: (view, at) => view.getFloat32(at, true),
  F16: (view, at) => halfToNumber(view.getUint16(at, true)),
  BF16: (view, at) => bitsToNumber(view.getUint16(at, true) << 16),
  F8_E4M3: (view, at) => float8ToNumber(view.getUint8(at)),
  // An e5m2 byte is the upper half of the IEEE half with the same value.
  F8_E5M2: (view, at) => halfToNumber(view.getUint8(at) << 8),
  I64: (view, at) => Number(view.getBigInt64(at, true)),
  I32: (view, at) => view.getInt32(at, true),
  I16: (view, at) => view.getInt16(at, true),
  I8: (view, at) => view.getInt8(at),
  U8: (view, at) => view.getUint8(at),
  BOOL: (view, at) => view.getUint8(at),
}

/**
 * A tensor's elements as float32, whatever its type in the file.
 * @throws MeshError `malformed_file` where the file lacks the tensor, holds it in a type that
 *   is no number, or was cut since its header was read.
 */
export async function readTensor(file: Safetensors, name: string): Promise<Float32Array> {
  return (await readTensors(file, [name])).get(name)!
}

/** Several tensors in one go, by name. @throws MeshError as `readTensor` */
export async function readTensors(
  file: Safetensors,
  names: readonly string[],
): Promise<Map<string, Float32Array>> {
  const entries = names.map((name) => [name, entryOf(file, name)] as const)
  return withFile(file, (descriptor) => {
    const values = new Map<string, Float32Array>()
    for (const [name, entry] of entries) {
      const count = countElements(entry.shape)
      values.set(name, readElements(descriptor, file.path, entry, entry.offset, count))
    }
    return values
  })
}

/**
 * Rows of a tensor's first dimension, e.g. tokens' embeddings, as float32, in the order asked for.
 * @throws MeshError as `readTensor`
 * @throws RangeError where the tensor has no such row.
 */
export async function readRows(
  file: Safetensors,
  name: string,
  rows: readonly number[],
): Promise<Float32Array[]> {
  const entry = entryOf(file, name)
  const extent = entry.shape[0] ?? 0
  const wrong = rows.find((row) => !Number.isInteger(row) || row < 0 || row >= extent)
  if (wrong !== undefined) {
    throw new RangeError(`${name} has rows 0 to ${extent - 1}, not ${wrong}`)
  }
  const count = countElements(entry.shape.slice(1))
  const rowBytes = entry.byteLength / extent
  return withFile(file, (descriptor) =>
    rows.map((row) =>
      readElements(descriptor, file.path, entry, entry.offset + row * rowBytes, count),
    ),
  )
}

function withFile<T>({ path }: Safetensors, use: (descriptor: number) => T): T {
  const descriptor = openNow(path)
  try {
    return use(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function openNow(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (cause) {
    throw unopenedFile(path, cause)
  }
}

function entryOf(file: Safetensors, name: string): TensorEntry {
  const entry = file.tensors.get(name)
  if (!entry) throw malformedFile(file.path, `it lacks the tensor ${name}`)
  return entry
}

function readElements(
  descriptor: number,
  path: string,
  { dtype }: TensorEntry,
  offset: number,
  count: number,
): Float32Array {
  const read = readElement[dtype]
  if (!read) throw malformedFile(path, `weights of type ${dtype} are of no use here`)
  const width = bytesPerElement(dtype)
  const bytes = Buffer.alloc(count * width)
  if (readSync(descriptor, bytes, 0, bytes.length, offset) < bytes.length) {
    throw malformedFile(path, 'it was cut while in use')
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = new Float32Array(count)
  for (let i = 0; i < count; i++) values[i] = read(view, i * width)
  return values
}

function bytesPerElement(type: ElementType): number {
  if (type === 'BOOL' || type.startsWith('F8')) return 1
  return Number(type.replace(/^\D+/, '')) / 8
}

const scratch = new DataView(new ArrayBuffer(4))

function bitsToNumber(bits: number): number {
  scratch.setInt32(0, bits)
  return scratch.getFloat32(0)
}

/** IEEE 754 binary16. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** e4m3fn: no infinities, one NaN a sign (https://arxiv.org/abs/2209.05433). */
function float8ToNumber(bits: number): number {
  const sign = bits & 0x80 ? -1 : 1
  const exponent = (bits >> 3) & 0xf
  const fraction = bits & 7
  if (exponent === 0xf && fraction === 7) return Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** -9
  return sign * (1 + fraction / 8) * 2 ** (exponent - 7)
}
