/**
 * The header of .safetensors files, checked as if a stranger had written it.
 * Tensor bytes are never read here; tensor-values.ts reads small ones.
 * Format: https://github.com/huggingface/safetensors#format
 */
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import { endOfString } from '@comfymesh/protocol/json'
import { jsonExcess } from '@comfymesh/protocol/json-extent'

/** Bits per element of every type of the format. */
const elementBits = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
  C64: 64,
} as const satisfies Record<string, number>

export type ElementType = keyof typeof elementBits

export interface TensorEntry {
  readonly dtype: ElementType
  readonly shape: readonly number[]
  /** From the start of the file. */
  readonly offset: number
  readonly byteLength: number
}

/** What the header of a .safetensors file says. */
export interface Safetensors {
  /** Absolute, symbolic links resolved. */
  readonly path: string
  readonly fileBytes: number
  readonly tensors: ReadonlyMap<string, TensorEntry>
  readonly metadata: { readonly [key: string]: string }
}

/** The format's own limit, which keeps a parser from being fed gigabytes of JSON. */
const MAX_HEADER_BYTES = 100_000_000
const LENGTH_BYTES = 8

/** The largest models have some 100,000 tensors, of about ten values each. */
const headerLimits = { maxDepth: 16, maxValues: 2_000_000 }

/** What people take for .safetensors files, by their first bytes. */
const impostors = [
  { magic: 'version ', what: 'it is a Git LFS pointer; fetch the real file with `git lfs pull`' },
  { magic: '<', what: 'it is a web page; the download asked for a login or a confirmation' },
  { magic: 'PK\x03\x04', what: 'it is a zipped pickle (.ckpt); those are never opened' },
  { magic: 'GGUF', what: 'it is a GGUF file' },
] as const

/**
 * Reads and checks the header of a .safetensors file.
 * @throws MeshError `not_found` where there is no such file, `storage_failed` where it cannot
 *   be read, `malformed_file` where it breaks the format.
 */
export async function openSafetensors(path: string): Promise<Safetensors> {
  const file = await openForReading(path)
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw malformedFile(path, 'it is not a regular file')
    const header = await readHeader(file, path, stat.size)
    const dataStart = LENGTH_BYTES + header.byteLength
    return {
      path: await realpath(path),
      fileBytes: stat.size,
      ...parseHeader(header, path, dataStart, stat.size - dataStart),
    }
  } finally {
    await file.close()
  }
}

/** An error that names the file, what is wrong with it and what to do. */
export function malformedFile(path: string, what: string): MeshError {
  return new MeshError(
    'malformed_file',
    `${path} cannot be used as a .safetensors file: ${what}. Download it again or replace it.`,
    { details: { path, what } },
  )
}

/** Opens a model file. @throws MeshError as `unopenedFile` */
async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    throw unopenedFile(path, cause)
  }
}

/** Why a model file could not be opened: `not_found` or `storage_failed`. */
export function unopenedFile(path: string, cause: unknown): MeshError {
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new MeshError('not_found', `There is no file ${path}. Put the model there.`, {
      details: { path },
      cause,
    })
  }
  return new MeshError(
    'storage_failed',
    `${path} could not be opened (${code}). Check its permissions and its disk.`,
    { details: { path }, cause },
  )
}

async function readHeader(file: FileHandle, path: string, fileBytes: number): Promise<Buffer> {
  const start = await readBytes(file, path, LENGTH_BYTES, 0)
  const length = start.readBigUInt64LE()
  if (length > MAX_HEADER_BYTES) {
    // Only now: the length of a sound header may begin with the same byte as a web page.
    const impostor = impostors.find(({ magic }) => start.toString('latin1').startsWith(magic))
    throw malformedFile(
      path,
      impostor?.what ??
        `its header claims ${length} bytes, more than the format's ${MAX_HEADER_BYTES}`,
    )
  }
  if (LENGTH_BYTES + Number(length) > fileBytes) {
    throw malformedFile(
      path,
      `it ends within its header (${fileBytes} bytes, the header alone has ${length})`,
    )
  }
  return readBytes(file, path, Number(length), LENGTH_BYTES)
}

async function readBytes(file: FileHandle, path: string, length: number, position: number) {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, position)
  if (bytesRead < length) throw malformedFile(path, `it ends after ${position + bytesRead} bytes`)
  return buffer
}

function parseHeader(header: Buffer, path: string, dataStart: number, dataBytes: number) {
  const { __metadata__: metadata = {}, ...entries } = parseJsonObject(header, path)
  if (!isObject(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw malformedFile(path, 'its __metadata__ does not map names to strings')
  }
  const tensors = new Map<string, TensorEntry>()
  for (const [name, entry] of Object.entries(entries)) {
    tensors.set(name, parseEntry(name, entry, path, dataStart))
  }
  checkLayout(tensors, path, dataStart, dataBytes)
  return { tensors, metadata: metadata as { [key: string]: string } }
}

function parseJsonObject(header: Buffer, path: string): { [name: string]: unknown } {
  const excess = jsonExcess(header, headerLimits)
  if (excess !== undefined) {
    const what = excess === 'depth' ? 'is nested deeper' : 'has more values'
    throw malformedFile(path, `its header ${what} than that of any model`)
  }
  let text: string
  let value: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header)
    value = JSON.parse(text)
  } catch (cause) {
    throw malformedFile(path, `its header is not JSON (${clipped((cause as Error).message)})`)
  }
  if (!isObject(value)) throw malformedFile(path, 'its header is not a JSON object')
  if (keysInText(text) !== keysInValue(value)) {
    throw malformedFile(path, 'its header gives a name twice')
  }
  return value
}

const COLON = /\s*:/y

/** Keys as written; JSON.parse keeps the last of equal ones without a word. */
function keysInText(json: string): number {
  let count = 0
  for (let at = json.indexOf('"'); at >= 0; at = json.indexOf('"', at)) {
    at = endOfString(json, at)
    COLON.lastIndex = at
    if (COLON.test(json)) count++
  }
  return count
}

function keysInValue(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const own = Array.isArray(value) ? 0 : Object.keys(value).length
  return Object.values(value).reduce((sum: number, child) => sum + keysInValue(child), own)
}

function parseEntry(name: string, entry: unknown, path: string, dataStart: number): TensorEntry {
  const broken = (what: string) => malformedFile(path, `its tensor ${quoted(name)} ${what}`)
  if (!isObject(entry)) throw broken('is not described by an object')
  const { dtype, shape, data_offsets: offsets } = entry
  if (typeof dtype !== 'string' || !Object.hasOwn(elementBits, dtype)) {
    throw broken(`has the unknown type ${quoted(dtype)}`)
  }
  if (!isSizes(shape)) throw broken('has a shape that is not a list of sizes')
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw broken('has data_offsets that are not a begin and an end')
  }
  const [begin, end] = offsets as [number, number]
  const bytes = (elementBits[dtype as ElementType] * countElements(shape)) / 8
  if (bytes !== end - begin) {
    throw broken(`spans ${end - begin} bytes, but ${dtype} ${quoted(shape)} takes ${bytes}`)
  }
  return {
    dtype: dtype as ElementType,
    shape,
    offset: dataStart + begin,
    byteLength: end - begin,
  }
}

/** As the format demands: tensors follow each other without holes and fill the file. */
function checkLayout(
  tensors: ReadonlyMap<string, TensorEntry>,
  path: string,
  dataStart: number,
  dataBytes: number,
): void {
  const byOffset = [...tensors].sort(
    ([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength,
  )
  let end = dataStart
  for (const [name, { offset, byteLength }] of byOffset) {
    if (offset !== end) {
      const fault = offset < end ? 'overlaps the one before it' : 'leaves a hole before it'
      throw malformedFile(path, `its tensor ${quoted(name)} ${fault}`)
    }
    end = offset + byteLength
  }
  const expected = end - dataStart
  if (expected > dataBytes) {
    throw malformedFile(path, `it is cut short: ${dataBytes} of ${expected} bytes of weights exist`)
  }
  if (expected < dataBytes) {
    throw malformedFile(path, `${dataBytes - expected} bytes follow its last tensor`)
  }
}

const MAX_QUOTED_LENGTH = 200

/** What a file says, in a message: a stranger may have given it megabytes. */
function quoted(value: unknown): string {
  return clipped(JSON.stringify(value) ?? 'undefined')
}

function clipped(text: string): string {
  return text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}...` : text
}

export function countElements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

function isSizes(value: unknown): value is number[] {
  return (
    Array.isArray(value) &&
    value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)
  )
}

function isObject(value: unknown): value is { [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
