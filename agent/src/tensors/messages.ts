/**
 * What is said over a channel that moves a blob. First the hash is named and answered, in JSON that
 * is framed as base/frames does, and then, if it is no error, the digests of all chunks come. From there
 * on chunks are asked for by their numbers, 4 bytes each, in any order and several at a time; their
 * bytes come in the order asked, and nothing else.
 */
import { type ErrorReport, MeshError } from '@comfymesh/protocol/errors'
import { z } from 'zod'
import { framed } from '../base/frames.ts'
import type { Channel } from '../mesh/channel.ts'

const answerSchema = z.object({
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      details: z.record(z.string(), z.unknown()).default({}),
    })
    .optional(),
})

const NUMBER_BYTES = 4
/** An error with its message takes less. */
const MAX_MESSAGE_BYTES = 16 * 1024

export function encodeMessage(message: object): Buffer {
  return framed(Buffer.from(JSON.stringify(message)))
}

/** @throws Error for one that is too long or not as the schema says; as the channel. */
export async function readMessage<T>(channel: Channel, schema: z.ZodType<T>): Promise<T> {
  const sizeBytes = await readNumber(channel)
  if (sizeBytes > MAX_MESSAGE_BYTES) throw new Error(`a message of ${sizeBytes} bytes`)
  const text = Buffer.alloc(sizeBytes)
  await channel.read(text)
  return schema.parse(JSON.parse(text.toString('utf8')))
}

/** Reads what answers a name: the bytes that fill the target. @throws MeshError as the peer says it. */
export async function readAnswer(channel: Channel, target: Uint8Array): Promise<void> {
  const { error } = await readMessage(channel, answerSchema)
  if (error !== undefined) throw MeshError.fromWire(error)
  await channel.read(target)
}

/** @param number of a chunk: a whole one below 2^32. */
export function encodeNumber(number: number): Buffer {
  const bytes = Buffer.allocUnsafe(NUMBER_BYTES)
  bytes.writeUInt32BE(number)
  return bytes
}

/** @throws Error as the channel. */
export async function readNumber(channel: Channel): Promise<number> {
  const bytes = Buffer.allocUnsafe(NUMBER_BYTES)
  await channel.read(bytes)
  return bytes.readUInt32BE()
}

export const acceptance = encodeMessage({})

export function refusal(error: ErrorReport): Buffer {
  return encodeMessage({ error })
}
