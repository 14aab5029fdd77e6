/**
 * Reads what ComfyUI and PyTorch computed (goldens/), for tests to compare with.
 * How the files were made stands in dev/goldens.
 */
import { readFileSync } from 'node:fs'
import type { Tensor } from '../src/executors/native/values.ts'

const file = (name: string): Buffer => readFileSync(new URL(`goldens/${name}`, import.meta.url))

/** The cases of goldens/<name>.json. */
export function goldenCases<Case>(name: string): Case[] {
  return (JSON.parse(file(`${name}.json`).toString()) as { cases: Case[] }).cases
}

/** A whole goldens/<name>.json. */
export function goldenDocument<Document>(name: string): Document {
  return JSON.parse(file(`${name}.json`).toString()) as Document
}

interface Header {
  readonly [name: string]: {
    readonly dtype: string
    readonly shape: number[]
    readonly data_offsets: [number, number]
  }
}

/** The tensors of goldens/<name>.safetensors: float32, or bytes that stand for their value / 255. */
export function goldenTensors(name: string): (tensor: string) => Tensor {
  const bytes = file(`${name}.safetensors`)
  const headerLength = Number(bytes.readBigUInt64LE(0))
  const start = 8 + headerLength
  const header = JSON.parse(bytes.subarray(8, start).toString()) as Header
  return (tensor) => {
    const entry = header[tensor]
    if (entry === undefined || !['F32', 'U8'].includes(entry.dtype)) {
      throw new Error(`${name}.safetensors has no float32 or byte tensor ${tensor}`)
    }
    const [from, to] = entry.data_offsets
    const raw = new Uint8Array(bytes.subarray(start + from, start + to))
    const data =
      entry.dtype === 'U8'
        ? Float32Array.from(raw, (byte) => byte / 255)
        : new Float32Array(raw.buffer)
    return { data, shape: entry.shape }
  }
}

/** The largest difference between two runs of numbers; infinite when their lengths differ. */
export function largestDifference(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (found.length !== wanted.length) return Number.POSITIVE_INFINITY
  let largest = 0
  for (let i = 0; i < found.length; i++) {
    const difference = Math.abs((found[i] as number) - (wanted[i] as number))
    // A NaN must not pass for agreement.
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference
  }
  return largest
}
