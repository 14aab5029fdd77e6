/** The values that come into a stage and leave it, as files; errors name the output they are about. */
import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import type { Output } from '@comfymesh/protocol/value'
import { ZodError } from 'zod'
import type { MadeValue, StageInput } from '../../executor.ts'
import { isOutOfMemory, outOfMemory } from '../out-of-memory.ts'
import type { Batch, Part, Range } from './batches.ts'
import { readValue, writeValue } from './value-file.ts'
import { travelTypes } from './value-types.ts'

/**
 * The value of one output, from its file, or from the files of the parts of its batch.
 * @param inputs all inputs of a stage that stand for this output; at least one.
 * @throws MeshError `corrupt_value` with details `{ nodeId, slot }` for a file that holds something
 *   else, or parts that do not fit together; `storage_failed`, `out_of_memory`.
 */
export async function readOutput(inputs: readonly StageInput[]): Promise<unknown> {
  const parts: Part<unknown>[] = []
  for (const input of inputs) parts.push(await readPart(input))
  const [first] = inputs as [StageInput]
  if (inputs.length === 1) return parts[0]!.value
  const ordered = parts.toSorted((a, b) => a.range.start - b.range.start)
  try {
    for (const [index, { range }] of ordered.slice(1).entries()) {
      const before = ordered[index]!.range.end
      if (range.start !== before)
        throw new RangeError(`parts end at ${before} and begin at ${range.start}`)
    }
    return batchOf(first.type).join(ordered)
  } catch (thrown) {
    throw unreadable(first, thrown)
  }
}

async function readPart(input: StageInput): Promise<Part<unknown>> {
  try {
    const value = await readValue(input.path, input.type)
    if (input.slice === undefined) return { value, range: { start: 0, end: Number.NaN } }
    const { start, end } = input.slice
    const size = batchOf(input.type).size(value)
    if (size !== end - start) {
      throw new RangeError(`it holds ${size} entries of a batch instead of ${start} to ${end}`)
    }
    return { value, range: { start, end } }
  } catch (thrown) {
    throw unreadable(input, thrown)
  }
}

/**
 * Writes the value of an output, or the asked-for part of its batch, to a new file of a folder.
 * @throws MeshError `storage_failed`; `node_failed` with details `{ nodeId, slot }` for what is no
 *   value of its type, or has no such part. Nothing is left in the folder then.
 */
export async function handOut(output: Output, value: unknown, folder: string): Promise<MadeValue> {
  const path = join(folder, `${randomUUID()}.safetensors`)
  try {
    await mkdir(folder, { recursive: true })
    const part = output.slice === undefined ? value : cut(output.type, value, output.slice)
    return { ...output, path, ...(await writeValue(path, output.type, part)) }
  } catch (thrown) {
    await rm(path, { force: true }).catch(() => {})
    throw unwritable(output, thrown, folder)
  }
}

function batchOf(type: string): Batch<unknown> {
  const batch = travelTypes.get(type)?.batch
  if (batch === undefined) throw new RangeError(`values of the type ${type} have no parts`)
  return batch
}

function cut(type: string, value: unknown, range: Range): unknown {
  const batch = batchOf(type)
  const size = batch.size(value)
  const { start, end } = range
  if (
    !(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end && end <= size)
  ) {
    throw new RangeError(`its batch of ${size} has no entries ${start} to ${end}`)
  }
  return batch.cut(value, range)
}

const nameOf = ({ nodeId, slot, type }: Output) => `The ${type} of node ${nodeId}, output ${slot},`

function unreadable(input: Output, thrown: unknown): MeshError {
  const details = { nodeId: input.nodeId, slot: input.slot }
  if (isOutOfMemory(thrown)) return outOfMemory(thrown)
  const isOfDisk =
    (thrown instanceof MeshError && thrown.code !== 'malformed_file') || isSystemError(thrown)
  if (isOfDisk) {
    const message = `${nameOf(input)} could not be read: ${(thrown as Error).message}`
    return new MeshError('storage_failed', message, { details, cause: thrown })
  }
  const message = `${nameOf(input)} arrived damaged: ${complaintOf(thrown)}. It has to be made again.`
  return new MeshError('corrupt_value', message, { details, cause: thrown })
}

function unwritable(output: Output, thrown: unknown, folder: string): MeshError {
  const details = { nodeId: output.nodeId, slot: output.slot }
  if (isOutOfMemory(thrown)) return outOfMemory(thrown)
  if (isSystemError(thrown)) {
    const message = `${nameOf(output)} could not be written to ${folder}: ${thrown.message}. Free some space, or check the disk of the data folder.`
    return new MeshError('storage_failed', message, { details, cause: thrown })
  }
  const message = `${nameOf(output)} cannot be handed to other stages: ${complaintOf(thrown)}.`
  return new MeshError('node_failed', message, { details, cause: thrown })
}

/** What the file system throws: ENOSPC, EIO, ... */
function isSystemError(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && typeof (thrown as NodeJS.ErrnoException).syscall === 'string'
}

function complaintOf(thrown: unknown): string {
  if (thrown instanceof MeshError) return String(thrown.details.what ?? thrown.message)
  if (thrown instanceof ZodError) {
    const { path, message } = thrown.issues[0]!
    return `its structure is not that of its type (${[...path, message].join(': ')})`
  }
  return thrown instanceof Error ? thrown.message : String(thrown)
}
