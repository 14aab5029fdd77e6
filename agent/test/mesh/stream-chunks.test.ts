/** Reading streams: nothing missed, honest ends, and a writer that waits for its reader. */
import '../../src/mesh/polyfill.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { streamPair } from '@libp2p/utils'
import t from 'tap'
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

t.test('a fast writer waits for a slow reader', async (t) => {
  const [writer, reader] = await streamPair()
  const chunks = readChunks(reader)
  const piece = Buffer.alloc(256 * 1024, 1)
  const count = 64
  let writtenBytes = 0
  const writing = (async () => {
    for (let i = 0; i < count; i++) {
      await writeChunk(writer, piece)
      writtenBytes += piece.length
    }
    await writer.close()
  })()
  await chunks.next()
  await sleep(200)
  t.ok(writtenBytes < (count * piece.length) / 2, `it stopped after ${writtenBytes} bytes`)
  const rest = await all(chunks)
  await writing
  t.equal(writtenBytes, count * piece.length)
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
