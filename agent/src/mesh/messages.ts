/** Messages on a stream: JSON, framed as base/frames does. */
import { type JsonValue, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { Stream } from '@libp2p/interface'
import { createFrameSplitter, framed } from '../base/frames.ts'
import { readChunks, writeChunk } from './stream-chunks.ts'

export function encodeMessage(value: unknown): Uint8Array {
  return framed(Buffer.from(stringifyJson(value)))
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
    const splitter = createFrameSplitter({ maxBytes })
    for await (const chunk of chunks) {
      for (const message of splitter.push(chunk)) yield parseJson(message.toString('utf8'))
    }
    if (splitter.isWithin()) throw new Error('The stream ended within a message.')
  }
  return iterate()
}
