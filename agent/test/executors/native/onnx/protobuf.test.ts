import t from 'tap'
import { ProtobufMessage } from '../../../../src/executors/native/onnx/protobuf.ts'

const hex = (message: ProtobufMessage) => Buffer.from(message.encode()).toString('hex')

// The examples of https://protobuf.dev/programming-guides/encoding/
t.equal(hex(new ProtobufMessage().integer(1, 150)), '089601')
t.equal(hex(new ProtobufMessage().text(2, 'testing')), '120774657374696e67')
t.equal(hex(new ProtobufMessage().message(3, (inner) => inner.integer(1, 150))), '1a03089601')
t.equal(hex(new ProtobufMessage().integer(1, -2)), '08feffffffffffffffff01')

t.test('what the examples leave out', async (t) => {
  t.equal(hex(new ProtobufMessage()), '')
  t.equal(hex(new ProtobufMessage().integer(1, 0)), '0800')
  t.equal(hex(new ProtobufMessage().integer(20, 1)), 'a00101')
  t.equal(hex(new ProtobufMessage().integer(1, 2 ** 40 + 1)), '08818080808020', 'beyond 32 bits')
  t.equal(hex(new ProtobufMessage().float(2, 1.5)), '150000c03f')
  t.equal(hex(new ProtobufMessage().text(1, 'ü✿')), '0a05c3bce29cbf')
  t.equal(hex(new ProtobufMessage().bytes(9, Uint8Array.of(1, 2))), '4a020102')
})

t.test('long messages', async (t) => {
  const fill = (message: ProtobufMessage) => {
    for (let index = 0; index < 300; index++) {
      message.integer(1, index % 100).text(2, 'x'.repeat(index))
    }
  }
  const inner = new ProtobufMessage()
  fill(inner)
  const bytes = new ProtobufMessage().message(3, fill).integer(1, 150).encode()
  t.equal(bytes[0], 0x1a)
  const length = (bytes[1]! & 127) + (bytes[2]! & 127) * 128 + bytes[3]! * 128 ** 2
  t.equal(length, inner.encode().length)
  t.same(bytes.subarray(4, -3), inner.encode())
  t.equal(Buffer.from(bytes.subarray(-3)).toString('hex'), '089601', 'and what follows')
})

t.test('texts of 127 and 128 bytes, and one whose last letter alone is not ASCII', async (t) => {
  for (const text of ['x'.repeat(127), 'x'.repeat(128), `${'x'.repeat(126)}ü`]) {
    const length = Buffer.byteLength(text)
    const prefix = length < 128 ? [length] : [(length % 128) + 128, length >> 7]
    const expected = Buffer.concat([Buffer.of(0x0a, ...prefix), Buffer.from(text)])
    t.equal(hex(new ProtobufMessage().text(1, text)), expected.toString('hex'))
  }
})
