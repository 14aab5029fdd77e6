/** Reading streams: nothing missed, honest ends, and a writer that waits for its reader. */
import '../../src/mesh/polyfill.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { streamPair } from '@libp2p/utils'
import t from 'tap'
import { READ_BUFFER_BYTES } from '../../src/mesh/node.ts'
import { readChunks, writeChunk } from '../../src/mesh/stream-chunks.ts'

async function all(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

t.test('what came before anybody read is not lost, nor is the end', async (t) => {
  const [writer, reader] = await streamPair()
  const chunks = readChunks(reader)
  await writeChunk(writer, Buffer.from('hello'))
  await writer.close()
  await sleep(20)
  t.equal(String(await all(chunks)), 'hello')
})

t.test('a reset is not an end', async (t) => {
  const [writer, reader] = await streamPair()
  const chunks = readChunks(reader)
  await writeChunk(writer, Buffer.from('half'))
  t.equal(String(Buffer.from((await chunks.next()).value!)), 'half')
  writer.abort(new Error('broken'))
  await t.rejects(chunks.next())
})

t.test('a slow reader pauses the stream until it has caught up', async (t) => {
  // As an agent sets its streams: what is under way when a reader pauses must have room.
  const roomy = { maxReadBufferLength: READ_BUFFER_BYTES }
  const [writer, reader] = await streamPair({ inbound: roomy, outbound: roomy })
  const chunks = readChunks(reader)
  const sent = Buffer.alloc(8 * 1024 * 1024, 1)
  const writing = (async () => {
    for (let at = 0; at < sent.length; at += 64 * 1024) {
      await writeChunk(writer, sent.subarray(at, at + 64 * 1024))
    }
    await writer.close()
  })()
  const first = (await chunks.next()).value!
  while (reader.readStatus !== 'paused') await sleep(5)
  const rest = await all(chunks)
  await writing
  t.equal(first.length + rest.length, sent.length)
  t.ok(rest.every((byte) => byte === 1))
})

t.test('writing ends with the stream or the signal', async (t) => {
  const [writer, reader] = await streamPair()
  readChunks(reader)
  const cancelled = new AbortController()
  const fill = async (signal?: AbortSignal) => {
    for (;;) await writeChunk(writer, Buffer.alloc(1024 * 1024), signal)
  }
  const filling = fill(cancelled.signal)
  cancelled.abort(new Error('enough'))
  await t.rejects(filling, /enough/)
  const refilling = fill()
  reader.abort(new Error('gone'))
  await t.rejects(refilling)
})
