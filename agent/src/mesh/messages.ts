/** Messages on a stream: each is JSON after its length in 4 bytes, big-endian. */
import { type JsonValue, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { Stream } from '@libp2p/interface'
import { readChunks, writeChunk } from './stream-chunks.ts'

const LENGTH_BYTES = 4

export function encodeMessage(value: unknown): Uint8Array {
  const text = Buffer.from(stringifyJson(value))
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(text.length)
  return Buffer.concat([length, text])
}

/** @throws Error when the stream is closed or the signal aborts. */
export function writeMessage(stream: Stream, value: unknown, signal?: AbortSignal): Promise<void> {
  return writeChunk(stream, encodeMessage(value), signal)
}

/**
 * The messages of a stream; listens from this call on.
 * @throws Error (from the iteration) for one that is longer than allowed, cut short or no JSON.
 */
export function readMessages(stream: Stream, maxBytes: number): AsyncGenerator<JsonValue> {
  const chunks = readChunks(stream)

  async function* iterate(): AsyncGenerator<JsonValue> {
    let parts: Uint8Array[] = []
    let bufferedBytes = 0
    let wantedBytes = LENGTH_BYTES
    let isLength = true
    for await (const chunk of chunks) {
      parts.push(chunk)
      bufferedBytes += chunk.length
      while (bufferedBytes >= wantedBytes) {
        const all = Buffer.concat(parts)
        const piece = all.subarray(0, wantedBytes)
        parts = [all.subarray(wantedBytes)]
        bufferedBytes -= wantedBytes
        if (isLength) {
          wantedBytes = piece.readUInt32BE()
          if (wantedBytes > maxBytes) {
            throw new Error(`A message of ${wantedBytes} bytes; at most ${maxBytes} are allowed.`)
          }
        } else {
          yield parseJson(piece.toString('utf8'))
          wantedBytes = LENGTH_BYTES
        }
        isLength = !isLength
      }
    }
    if (bufferedBytes > 0 || !isLength) throw new Error('The stream ended within a message.')
  }
  return iterate()
}
