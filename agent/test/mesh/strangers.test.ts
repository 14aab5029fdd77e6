/** Who may not come in: a libp2p node that knows no secret, members of another mesh, the removed. */
import '../../src/mesh/polyfill.ts'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import t, { type Test } from 'tap'
import { type Identity, loadIdentity } from '../../src/mesh/identity.ts'
import { foundMesh } from '../../src/mesh/membership.ts'
import { type MeshNode, startNode } from '../../src/mesh/node.ts'

const { secret } = foundMesh('a')

async function startMember(
  t: Test,
  options: { readonly secret?: string; readonly refuses?: string } = {},
): Promise<MeshNode & { readonly identity: Identity; readonly opened: string[] }> {
  const identity = loadIdentity(t.testdir())
  const node = await startNode({
    identity,
    secret: () => options.secret ?? secret,
    port: 0,
    anyPortWillDo: true,
    isRefused: (peerId) => peerId === options.refuses,
  })
  t.teardown(() => node.stop())
  const opened: string[] = []
  node.onConnection(({ remotePeer }) => opened.push(remotePeer.toString()))
  await node.streams.accept('/comfymesh/test/1', 4, (stream) => stream.abort(new Error('heard')))
  return { ...node, identity, opened }
}

const soon = () => AbortSignal.timeout(10_000)
const at = ({ port }: MeshNode) => ({ host: '127.0.0.1', port })

t.test('members connect and open protocols', async (t) => {
  const [a, b] = [await startMember(t), await startMember(t)]
  t.equal(await a.dial(at(b), b.identity.peerId, soon()), b.identity.peerId)
  t.strictSame(a.connectedPeers(), [b.identity.peerId])
  const heard: string[] = []
  a.onConnection(({ remotePeer }) => heard.push(remotePeer.toString()))
  t.strictSame(heard, [b.identity.peerId], 'whoever listens later hears of those that are open')
  const stream = await a.streams.open(b.identity.peerId, '/comfymesh/test/1', soon())
  stream.abort(new Error('enough'))
  const unknown = a.streams.open(b.identity.peerId, '/comfymesh/nobody-knows/1', soon())
  await t.rejects(unknown, { code: 'peer_incompatible' })
  const nobody = a.streams.open('12D3KooWnobody', '/comfymesh/test/1', soon())
  await t.rejects(nobody, { code: 'peer_unreachable' })
})

t.test('a member of another mesh does not get through the handshake, either way', async (t) => {
  const member = await startMember(t)
  const other = await startMember(t, { secret: foundMesh('b').secret })
  await t.rejects(other.dial(at(member), undefined, soon()))
  await t.rejects(member.dial(at(other), undefined, soon()))
  t.strictSame([...member.opened, ...other.opened], [], 'no connection came to be')
})

t.test('nor does a libp2p node without a secret, and it opens no protocol', async (t) => {
  const member = await startMember(t)
  const prober = await createLibp2p({
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { ping: ping() },
  })
  t.teardown(() => prober.stop())
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${member.port}`)
  await t.rejects(prober.dial(address, { signal: soon() }))
  const protocols = ['/comfymesh/membership/1', '/ipfs/id/1.0.0']
  await t.rejects(prober.dialProtocol(address, protocols, { signal: soon() }))
  await t.rejects(prober.services.ping.ping(address, { signal: soon() }))
  t.strictSame(member.opened, [])
})

t.test('a removed peer is refused though it knows the secret', async (t) => {
  const removed = await startMember(t)
  const member = await startMember(t, { refuses: removed.identity.peerId })
  await t.rejects(member.dial(at(removed), removed.identity.peerId, soon()))
  await removed.dial(at(member), undefined, soon()).catch(() => {})
  t.strictSame(member.opened, [])
})

t.test('a new secret counts from the next handshake on', async (t) => {
  const member = await startMember(t)
  let mine = secret
  const identity = loadIdentity(t.testdir())
  const node = await startNode({
    identity,
    secret: () => mine,
    port: 0,
    anyPortWillDo: true,
    isRefused: () => false,
  })
  t.teardown(() => node.stop())
  await node.dial(at(member), undefined, soon())
  mine = foundMesh('c').secret
  t.equal(node.connectedPeers().length, 1, 'what is open stays open')
  await t.rejects(member.dial(at(node), 'nobody', soon()))
  const later = await startMember(t)
  await t.rejects(later.dial(at(node), identity.peerId, soon()))
})

t.test('a port that is taken is said, or another one is taken', async (t) => {
  const first = await startMember(t)
  const options = {
    identity: loadIdentity(t.testdir()),
    secret: () => secret,
    port: first.port,
    isRefused: () => false,
  }
  await t.rejects(startNode({ ...options, anyPortWillDo: false }), {
    code: 'invalid_settings',
    message: /--mesh-port/,
  })
  const second = await startNode({ ...options, anyPortWillDo: true })
  t.teardown(() => second.stop())
  t.not(second.port, first.port)
})
