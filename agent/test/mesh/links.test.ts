/** Who is dialled, and when. */
import type { Connection } from '@libp2p/interface'
import t, { type Test } from 'tap'
import { createLinks, type LinksModules, type Target } from '../../src/mesh/links.ts'

type OnConnection = (connection: Connection) => void

/** Links of the peer `m` in a network where dialling does what the test says. */
function links(t: Test, answer: (peerId: string | undefined) => Promise<string>) {
  const members = new Set(['a', 'z'])
  const connected = new Map<string, Connection>()
  const dialled: string[] = []
  let onConnectionEnd: OnConnection = () => {}
  let nowMs = 0
  const refused: Target[] = []
  const made = createLinks({
    node: {
      connections: (peerId: string) => [...connected.values()].filter((c) => idOf(c) === peerId),
      onConnection() {},
      onConnectionEnd(listener: OnConnection) {
        onConnectionEnd = listener
      },
      async dial({ host }: { host: string }, peerId: string | undefined) {
        dialled.push(`${peerId ?? '?'} at ${host}`)
        const answeredBy = await answer(peerId)
        connected.set(answeredBy, { remotePeer: answeredBy } as never)
        return answeredBy
      },
    } as unknown as LinksModules['node'],
    selfId: 'm',
    isWelcome: (peerId) => members.has(peerId),
    onHandshakeFailed: (target) => refused.push(target),
    now: () => nowMs,
  })
  t.teardown(() => made.stop())
  return {
    ...made,
    members,
    dialled,
    refused,
    later: (ms: number) => (nowMs += ms),
    async dialledBy(count: number) {
      while (dialled.length < count) await new Promise((resolve) => setTimeout(resolve, 5))
      await new Promise((resolve) => setImmediate(resolve))
    },
    /** The peer dials. */
    come: (peerId: string) => connected.set(peerId, { remotePeer: peerId } as never),
    cut(peerId: string) {
      const connection = connected.get(peerId)!
      connected.delete(peerId)
      onConnectionEnd(connection)
    },
  }
}

const idOf = ({ remotePeer }: Connection) => String(remotePeer)
/** Links in a network where nobody answers yet. */
function silent(t: Test) {
  let isThere = false
  const mesh = links(t, async (peerId) => {
    if (isThere) return peerId!
    throw new Error('refused')
  })
  const answer = () => {
    isThere = true
  }
  return { mesh, answer }
}

const at = (host: string) => ({ hosts: [host], port: 1, doorPort: 2 })

t.test('members are dialled, and again as soon as their connection ends', async (t) => {
  const mesh = links(t, async (peerId) => peerId!)
  mesh.want({ peerId: 'z', ...at('zoe') })
  t.strictSame(mesh.dialled, [], 'not before it has started')
  mesh.start()
  await mesh.dialledBy(1)
  mesh.want({ peerId: 'z', ...at('zoe') })
  t.strictSame(mesh.dialled, ['z at zoe'], 'it is connected')
  mesh.later(5000)
  mesh.cut('z')
  await mesh.dialledBy(2)
  t.strictSame(mesh.dialled, ['z at zoe', 'z at zoe'])
})

t.test('who does not answer is dialled again, at once when it is sighted', async (t) => {
  const { mesh, answer } = silent(t)
  mesh.start()
  mesh.want({ peerId: 'z', ...at('zoe') })
  await mesh.dialledBy(1)
  mesh.want({ peerId: 'z', ...at('zoe') })
  t.equal(mesh.dialled.length, 1, 'a second has not passed')
  mesh.sighted({ peerId: 'z', ...at('new') })
  await mesh.dialledBy(2)
  mesh.later(1000)
  answer()
  await mesh.dialledBy(3)
  t.strictSame(mesh.dialled, ['z at zoe', 'z at new', 'z at new'])
})

t.test('who comes back after a long time and is lost again is dialled soon', async (t) => {
  const { mesh, answer } = silent(t)
  mesh.start()
  mesh.want({ peerId: 'z', ...at('zoe') })
  await mesh.dialledBy(1)
  answer()
  mesh.later(60 * 60_000)
  mesh.reconsider()
  await mesh.dialledBy(2)
  mesh.cut('z')
  mesh.later(1000)
  mesh.reconsider()
  t.equal(mesh.dialled.length, 3)
})

t.test('who comes by itself after a long time and is lost again is dialled soon', async (t) => {
  const { mesh } = silent(t)
  mesh.start()
  mesh.want({ peerId: 'z', ...at('zoe') })
  await mesh.dialledBy(1)
  mesh.later(60 * 60_000)
  mesh.reconsider()
  await mesh.dialledBy(2)
  mesh.come('z')
  mesh.cut('z')
  mesh.later(1000)
  mesh.reconsider()
  t.equal(mesh.dialled.length, 3)
})

t.test('the one with the greater id lets the other dial', async (t) => {
  const mesh = links(t, async (peerId) => peerId!)
  mesh.start()
  mesh.want({ peerId: 'a', ...at('anna') })
  mesh.want({ peerId: 'z', ...at('zoe') })
  t.strictSame(mesh.dialled, ['z at zoe'])
  mesh.later(400)
  await mesh.dialledBy(2)
  t.strictSame(mesh.dialled, ['z at zoe', 'a at anna'])
})

t.test('strangers are not dialled until they are welcome', async (t) => {
  const mesh = links(t, async (peerId) => peerId!)
  mesh.start()
  mesh.want({ peerId: 's', ...at('sam') })
  mesh.sighted({ peerId: 't', ...at('tom') })
  t.strictSame(mesh.dialled, [])
  mesh.members.add('s')
  mesh.reconsider()
  await mesh.dialledBy(1)
  t.strictSame(mesh.dialled, ['s at sam'])
  mesh.cut('s')
  mesh.forgetAll()
  mesh.later(5000)
  mesh.reconsider()
  t.equal(mesh.dialled.length, 1)
})

t.test('an address is dialled whoever lives there; a failed handshake is told', async (t) => {
  const answers = [() => Promise.reject(new Error('handshake failed')), async () => 'z']
  const mesh = links(t, () => answers.shift()!())
  mesh.start()
  mesh.want(at('somewhere'))
  await mesh.dialledBy(1)
  t.match(mesh.refused, [at('somewhere')])
  mesh.later(1000)
  await mesh.dialledBy(2)
  t.strictSame(mesh.dialled, ['? at somewhere', '? at somewhere'])
  mesh.later(5000)
  mesh.reconsider()
  t.equal(mesh.dialled.length, 2, 'whoever lives there is connected')
})
