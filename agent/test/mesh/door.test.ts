/** The door: opened by keys, asked with a proven identity, deaf to everything else. */
import { once } from 'node:events'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { MeshError } from '@comfymesh/protocol/errors'
import t, { type Test } from 'tap'
import { z } from 'zod'
import {
  channelBinding,
  createDoor,
  DOOR_TLS,
  type DoorRow,
  firstLine,
} from '../../src/mesh/door.ts'
import { loadIdentity } from '../../src/mesh/identity.ts'
import { knockAt } from '../../src/mesh/knock.ts'

const key = Buffer.alloc(32, 1)
const answerSchema = z.object({ hello: z.string() })

async function openDoor(t: Test, welcome: DoorRow['welcome']): Promise<number> {
  const door = createDoor({ join: { key: (id) => (id === 'good' ? key : undefined), welcome } })
  t.teardown(() => door.close())
  return door.listen(0)
}

const at = (port: number) => [{ host: '127.0.0.1', port }]

t.test('the right key opens, and the guest is who it says', async (t) => {
  const identity = loadIdentity(t.testdir())
  const port = await openDoor(t, (id, { peerId, name }) => {
    t.strictSame([id, peerId, name], ['good', identity.peerId, 'guest'])
    return { hello: name }
  })
  const knock = { identity: 'join/good', key, name: 'guest' }
  const { answer } = await knockAt(at(port), knock, identity, answerSchema)
  t.strictSame(answer, { hello: 'guest' })
  const nobody = { host: '127.0.0.1', port: 1 }
  const second = await knockAt([nobody, ...at(port)], knock, identity, answerSchema)
  t.equal(second.at.port, port, 'of several addresses the one that answers counts')
})

t.test('a wrong key, an unknown id or reason end in the handshake', async (t) => {
  const identity = loadIdentity(t.testdir())
  const port = await openDoor(t, () => t.fail('nobody comes in'))
  const name = 'guest'
  for (const knock of [
    { identity: 'join/good', key: Buffer.alloc(32, 2), name },
    { identity: 'join/other', key, name },
    { identity: 'toString/good', key, name },
    { identity: 'join', key, name },
  ]) {
    await t.rejects(knockAt(at(port), knock, identity, answerSchema), {
      code: 'peer_unreachable',
      details: { isKnown: true },
    })
  }
})

t.test('what the door refuses arrives with its reason', async (t) => {
  const port = await openDoor(t, () => {
    throw new MeshError('invite_refused', 'It has expired.')
  })
  const knock = { identity: 'join/good', key, name: 'guest' }
  const knocking = knockAt(at(port), knock, loadIdentity(t.testdir()), answerSchema)
  await t.rejects(knocking, { code: 'invite_refused', message: 'It has expired.' })
})

t.test('an identity that is not its own, and nonsense, get no answer', async (t) => {
  const folder = t.testdir({ a: {}, b: {} })
  const [mine, others] = ['a', 'b'].map((name) => loadIdentity(join(folder, name)))
  const port = await openDoor(t, () => t.fail('nobody comes in'))
  const say = async (line: (binding: Buffer) => string) => {
    const socket = connect({
      host: '127.0.0.1',
      port,
      ...DOOR_TLS,
      pskCallback: () => ({ psk: key, identity: 'join/good' }),
      checkServerIdentity: () => undefined,
    })
    await once(socket, 'secureConnect')
    socket.on('error', () => {})
    socket.write(line(channelBinding(socket)))
    await t.rejects(firstLine(socket, 1000))
    socket.destroy()
  }
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
  await say((binding) => {
    const signature = text(mine!.sign(binding))
    return `${JSON.stringify({ publicKey: text(others!.publicKey), signature, name: 'x' })}\n`
  })
  await say(() => {
    const signature = text(mine!.sign(Buffer.from('another connection')))
    return `${JSON.stringify({ publicKey: text(mine!.publicKey), signature, name: 'x' })}\n`
  })
  await say(() => '{ "half": \n')
  await say(() => 'x'.repeat(100_000))
})

t.test('who speaks no TLS is sent away', async (t) => {
  const port = await openDoor(t, () => t.fail('nobody comes in'))
  const socket = connectPlain({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  socket.write('GET / HTTP/1.1\r\n\r\n')
  await once(socket, 'close')
})

t.test('nobody there is told with every address and what to check', async (t) => {
  const knock = { identity: 'join/good', key, name: 'guest' }
  const nobody = [{ host: '127.0.0.1', port: 1 }]
  await t.rejects(knockAt(nobody, knock, loadIdentity(t.testdir()), answerSchema), {
    code: 'peer_unreachable',
    message: /127\.0\.0\.1:1 \(ECONNREFUSED\).*firewall/,
  })
  await t.rejects(knockAt([], knock, loadIdentity(t.testdir()), answerSchema), {
    code: 'peer_unreachable',
  })
})
