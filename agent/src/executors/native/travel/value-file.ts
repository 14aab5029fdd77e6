/**
 * Values as safetensors files, which every tool of the field opens: the tensors under plain names,
 * what they make together in the metadata. Equal values give equal files, so equal hashes.
 * Format: https://github.com/huggingface/safetensors#format
 */
import { type FileHandle, open } from 'node:fs/promises'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { TensorShape } from '@comfymesh/protocol/value'
import { createBlobHasher, type HashedBlob } from '../../../base/blob-hash.ts'
import { openSafetensors, type Safetensors } from '../../../models/safetensors.ts'
import { sizeOf } from '../array/tensor.ts'
import {
  type ArrayType,
  arrayTypes,
  checkShape,
  type PartsReader,
  type PartsWriter,
  type TypedTensor,
} from './value-parts.ts'
import { type TravelType, travelTypes } from './value-types.ts'

/** What the metadata says: the type of the value, and its structure as JSON. */
const TYPE_KEY = 'comfymesh.type'
const STRUCTURE_KEY = 'comfymesh.value'

/** Tensors begin where a mapped file can be read as the widest type. */
const ALIGNMENT_BYTES = 8

/** How much is read or written at once; the system takes no more than 2 GB. */
const PIECE_BYTES = 64 * 2 ** 20

/** Hashed while its bytes were written. */
export interface WrittenValue extends HashedBlob {
  readonly tensors: readonly TensorShape[]
}

/**
 * Writes a value to a file that is not there yet. What a failure leaves behind is the caller's.
 * @throws RangeError, ZodError for what is no value of the type, and what the file system throws.
 */
export async function writeValue(
  path: string,
  type: string,
  value: unknown,
): Promise<WrittenValue> {
  const { tensors, structure } = partsOf(type, value)
  const file = await open(path, 'wx')
  try {
    const hasher = createBlobHasher()
    const bytes = [headerOf(type, structure, tensors), ...tensors.map(({ data }) => bytesOf(data))]
    for (const whole of bytes) {
      for (let at = 0; at < whole.length; at += PIECE_BYTES) {
        const piece = whole.subarray(at, at + PIECE_BYTES)
        hasher.update(piece)
        await file.writeFile(piece)
      }
    }
    const shapes = tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape: [...shape] }))
    return { tensors: shapes, ...hasher.finish() }
  } finally {
    await file.close()
  }
}

/**
 * Reads a value back, checked as if a stranger had written it. Memory is taken for no more than
 * the file holds, and only after a tensor's type and shape were found to be right.
 * @throws MeshError `malformed_file`, `not_found`, `storage_failed`; RangeError, SyntaxError,
 *   ZodError for a sound file that holds no value of the type.
 */
export async function readValue(path: string, type: string): Promise<unknown> {
  const header = await openSafetensors(path)
  const { [TYPE_KEY]: found, [STRUCTURE_KEY]: structure = '' } = header.metadata
  if (found !== type) throw new RangeError(`it holds ${found ?? 'no value'} instead of ${type}`)
  const file = await open(path, 'r')
  try {
    return await rowOf(type).decode(createReader(file, header, structure))
  } finally {
    await file.close()
  }
}

function rowOf(type: string): TravelType {
  const row = travelTypes.get(type)
  if (row === undefined) throw new RangeError(`values of the type ${type} do not travel`)
  return row
}

interface NamedTensor extends TypedTensor {
  readonly name: string
  readonly dtype: ArrayType
}

function partsOf(type: string, value: unknown) {
  const tensors: NamedTensor[] = []
  const parts: PartsWriter = {
    put(name, tensor, axes) {
      checkShape(name, tensor.shape, axes)
      const same = tensors.find(({ data }) => data === tensor.data)
      if (same === undefined) tensors.push({ ...tensor, name, dtype: typeOf(tensor.data) })
      return { tensor: same?.name ?? name }
    },
  }
  const structure = rowOf(type).encode(value, parts)
  // The widest first, so that all are aligned.
  tensors.sort((a, b) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT)
  return { tensors, structure }
}

function typeOf(data: TypedTensor['data']): ArrayType {
  const types = Object.keys(arrayTypes) as ArrayType[]
  return types.find((type) => data instanceof arrayTypes[type])!
}

function headerOf(type: string, structure: unknown, tensors: readonly NamedTensor[]): Buffer {
  let end = 0
  const entries = tensors.map(({ name, dtype, shape, data }) => {
    const begin = end
    end += data.byteLength
    return [name, { dtype, shape, data_offsets: [begin, end] }]
  })
  const metadata = { format: 'pt', [TYPE_KEY]: type, [STRUCTURE_KEY]: stringifyJson(structure) }
  const json = Buffer.from(
    stringifyJson({ __metadata__: metadata, ...Object.fromEntries(entries) }),
  )
  const paddedBytes = Math.ceil(json.length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES
  const header = Buffer.alloc(8 + paddedBytes, ' ')
  header.writeBigUInt64LE(BigInt(paddedBytes))
  json.copy(header, 8)
  return header
}

/** All platforms that Node runs on here are little-endian, as the format is. */
function bytesOf(data: TypedTensor['data']): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

function createReader(file: FileHandle, header: Safetensors, structure: string): PartsReader {
  const tensors = new Map<string, TypedTensor>()
  return {
    structure: parseJson(structure),
    async get<T extends ArrayType>(
      { tensor: name }: { readonly tensor: string },
      type: T,
      axes: readonly (number | string)[],
    ) {
      const entry = header.tensors.get(name)
      if (entry === undefined) throw new RangeError(`it has no tensor ${name}`)
      const { dtype, shape, offset } = entry
      if (dtype !== type) throw new RangeError(`its ${name} is of the type ${dtype}, not ${type}`)
      checkShape(name, shape, axes)
      const known = tensors.get(name)
      if (known !== undefined) return known as TypedTensor<T>
      const data = new arrayTypes[type](sizeOf(shape)) as TypedTensor<T>['data']
      await readInto(file, bytesOf(data), offset)
      tensors.set(name, { data, shape })
      return { data, shape }
    },
  }
}

async function readInto(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const length = Math.min(PIECE_BYTES, bytes.length - at)
    const { bytesRead } = await file.read(bytes, at, length, offset + at)
    if (bytesRead === 0) throw new RangeError('it was cut while it was read')
    at += bytesRead
  }
}
