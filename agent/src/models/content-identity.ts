/**
 * What tells two models apart, whatever they are called: a hash of the header, the size and
 * samples of the weights. Reads less than a megabyte of a file of gigabytes.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { malformedFile } from './safetensors.ts'

const LENGTH_BYTES = 8
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000
/** Weights of different trainings differ nearly everywhere. */
const SAMPLES = 64
const SAMPLE_BYTES = 4096

/**
 * The content identity of a .safetensors file: equal for equal files.
 * @returns 64 hexadecimal digits. @throws MeshError `malformed_file`; Error of the file system.
 */
export async function contentIdentity(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const hash = createHash('sha256').update(`${size}\n`)
    const length = await read(file, path, 0, LENGTH_BYTES)
    const headerBytes = Number(length.readBigUInt64LE())
    const weightsStart = LENGTH_BYTES + headerBytes
    if (headerBytes > MAX_HEADER_BYTES || weightsStart > size) {
      throw malformedFile(path, 'it ends within its header')
    }
    hash.update(await read(file, path, LENGTH_BYTES, headerBytes))
    for (const position of samplePositions(weightsStart, size)) {
      hash.update(await read(file, path, position, Math.min(SAMPLE_BYTES, size - position)))
    }
    return hash.digest('hex')
  } finally {
    await file.close()
  }
}

/** Spread evenly from the first weights to the last; all of them where there are few. */
export function samplePositions(start: number, end: number): number[] {
  const lengthBytes = end - start
  if (lengthBytes <= SAMPLES * SAMPLE_BYTES) {
    const count = Math.ceil(lengthBytes / SAMPLE_BYTES)
    return Array.from({ length: count }, (_, index) => start + index * SAMPLE_BYTES)
  }
  const step = (lengthBytes - SAMPLE_BYTES) / (SAMPLES - 1)
  return Array.from({ length: SAMPLES }, (_, index) => start + Math.floor(index * step))
}

async function read(file: FileHandle, path: string, position: number, length: number) {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, position)
  if (bytesRead < length) throw malformedFile(path, `it ends after ${position + bytesRead} bytes`)
  return buffer
}
