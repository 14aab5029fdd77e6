import t from 'tap'
import { createFrameSplitter, framed } from '../../src/base/frames.ts'

const messages = ['first', '', 'ä'.repeat(3000), 'last'].map((text) => Buffer.from(text))
const stream = Buffer.concat(messages.map(framed))

function pieces(bytes: Buffer, pieceBytes: number): Buffer[] {
  const count = Math.ceil(bytes.length / pieceBytes)
  return Array.from({ length: count }, (_, i) =>
    bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes),
  )
}

t.test('messages arrive in order, however they are cut', async (t) => {
  for (const pieceBytes of [1, 2, 3, 4, 5, 7, 1000, stream.length]) {
    const splitter = createFrameSplitter()
    const arrived = pieces(stream, pieceBytes).flatMap((piece) => [...splitter.push(piece)])
    t.strictSame(arrived.map(String), messages.map(String), `${pieceBytes} bytes at a time`)
    t.notOk(splitter.isWithin())
  }
})

t.test('a message that came in one part is not copied', async (t) => {
  const [first] = createFrameSplitter().push(stream)
  t.equal(first!.buffer, stream.buffer)
})

t.test('what is cut off is within a message', async (t) => {
  for (const end of [1, 4, 6]) {
    const splitter = createFrameSplitter()
    t.strictSame([...splitter.push(framed(Buffer.from('half')).subarray(0, end))], [])
    t.ok(splitter.isWithin(), `after ${end} bytes`)
  }
  t.notOk(createFrameSplitter().isWithin(), 'before the first byte')
})

t.test('one that is too long is refused by its length, those before it are heard', async (t) => {
  const splitter = createFrameSplitter({ maxBytes: 5 })
  const arrived: string[] = []
  const tooLong = framed(Buffer.from('longer')).subarray(0, 4)
  t.throws(
    () => {
      for (const message of splitter.push(Buffer.concat([framed(Buffer.from('short')), tooLong])))
        arrived.push(String(message))
    },
    { name: 'RangeError', message: 'A message of 6 bytes; at most 5 are allowed.' },
  )
  t.strictSame(arrived, ['short'])
})
