/**
 * What is said over a channel that moves a blob: JSON after its length in 4 bytes, big-endian; raw
 * bytes follow a reply that is no error. First the hash is named and the digests of all chunks come;
 * then chunks are asked for, in any order and several at a time, and come in the order asked.
 */
import { type ErrorReport, MeshError } from '@comfymesh/protocol/errors'
import { z } from 'zod'
import type { Channel, OnFilled } from '../mesh/channel.ts'

export const chunkRequestSchema = z.object({ chunk: z.number().int().nonnegative() })

const replySchema = z.object({
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      details: z.record(z.string(), z.unknown()).default({}),
    })
    .optional(),
})

const LENGTH_BYTES = 4
/** An error with its message takes less. */
const MAX_MESSAGE_BYTES = 16 * 1024

export function encodeMessage(message: object): Buffer {
  const text = Buffer.from(JSON.stringify(message))
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(text.length)
  return Buffer.concat([length, text])
}

/** @throws Error for one that is too long or not as the schema says; as the channel. */
export async function readMessage<T>(channel: Channel, schema: z.ZodType<T>): Promise<T> {
  const length = Buffer.alloc(LENGTH_BYTES)
  await channel.read(length)
  const sizeBytes = length.readUInt32BE()
  if (sizeBytes > MAX_MESSAGE_BYTES) throw new Error(`a message of ${sizeBytes} bytes`)
  const text = Buffer.alloc(sizeBytes)
  await channel.read(text)
  return schema.parse(JSON.parse(text.toString('utf8')))
}

/** Reads what follows a request: the bytes that fill the target. @throws MeshError as the peer says it. */
export async function readReply(
  channel: Channel,
  target: Uint8Array,
  onFilled?: OnFilled,
): Promise<void> {
  const { error } = await readMessage(channel, replySchema)
  if (error !== undefined) throw MeshError.fromWire(error)
  await channel.read(target, onFilled)
}

export const acceptance = encodeMessage({})

export function refusal(error: ErrorReport): Buffer {
  return encodeMessage({ error })
}
