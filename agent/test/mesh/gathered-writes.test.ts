import '../../src/mesh/polyfill.ts'
import { setImmediate as endOfTurn } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { streamPair } from '@libp2p/utils'
import t from 'tap'
import { Uint8ArrayList } from 'uint8arraylist'
import { gatherWrites, sendInOnePiece } from '../../src/mesh/gathered-writes.ts'
import { readChunks } from '../../src/mesh/stream-chunks.ts'

/** What reaches the stream itself, beside what arrives on the other side. */
async function watched() {
  const [stream, other] = await streamPair()
  const pieces: number[] = []
  const { send } = stream
  stream.send = (bytes) => {
    pieces.push(bytes.byteLength)
    return send.call(stream, bytes)
  }
  return { stream, other, pieces }
}

async function arrived(other: Stream, byteCount: number): Promise<string> {
  let text = ''
  for await (const chunk of readChunks(other)) {
    text += Buffer.from(chunk).toString()
    if (text.length >= byteCount) break
  }
  return text
}

t.test('what is sent in one turn leaves at its end in one piece and in its order', async (t) => {
  const { stream, other, pieces } = await watched()
  gatherWrites(stream, stream)
  for (const part of ['one ', 'two ', 'three']) t.ok(stream.send(Buffer.from(part)))
  await Promise.resolve()
  t.strictSame(pieces, [])
  await endOfTurn()
  t.strictSame(pieces, [13])
  t.equal(await arrived(other, 13), 'one two three')
})

t.test('much does not wait, and a close waits for nothing that was sent', async (t) => {
  const { stream, other, pieces } = await watched()
  gatherWrites(stream, stream)
  stream.send(Buffer.alloc(100_000, 'a'))
  t.strictSame(pieces, [100_000])
  stream.send(Buffer.from('end'))
  await stream.close()
  t.strictSame(pieces, [100_000, 3])
  t.equal((await arrived(other, 100_003)).slice(-4), 'aend')
})

t.test('what was gathered when the connection breaks harms nobody', async (t) => {
  const { stream, pieces } = await watched()
  gatherWrites(stream, stream)
  stream.send(Buffer.from('lost'))
  stream.abort(new Error('broken'))
  await endOfTurn()
  t.strictSame(pieces, [])
  t.throws(() => stream.send(Buffer.from('late')), /closed/)
})

t.test('a list of parts is one piece', async (t) => {
  const { stream, other } = await watched()
  const sent: unknown[] = []
  const { send } = stream
  stream.send = (bytes) => {
    sent.push(bytes instanceof Uint8Array)
    return send.call(stream, bytes)
  }
  sendInOnePiece(stream)
  stream.send(new Uint8ArrayList(Buffer.from('two '), Buffer.from('parts')))
  t.strictSame(sent, [true])
  t.equal(await arrived(other, 9), 'two parts')
})
