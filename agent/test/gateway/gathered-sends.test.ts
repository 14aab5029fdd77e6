import { Writable } from 'node:stream'
import { setImmediate as endOfTurn } from 'node:timers/promises'
import t from 'tap'
import { gatherSends } from '../../src/gateway/gathered-sends.ts'

t.test('messages of one turn are one write of the connection', async (t) => {
  const writes: string[] = []
  const carrier = new Writable({
    writev(chunks, callback) {
      writes.push(chunks.map(({ chunk }) => String(chunk)).join('+'))
      callback()
    },
  })
  const socket = { send: (text: string) => void carrier.write(text) }
  gatherSends(socket, carrier)
  socket.send('one')
  await Promise.resolve()
  socket.send('two')
  t.strictSame(writes, [])
  await endOfTurn()
  t.strictSame(writes, ['one+two'])
  socket.send('three')
  await endOfTurn()
  t.strictSame(writes, ['one+two', 'three'])
})
