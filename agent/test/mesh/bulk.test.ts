/** Channels for large bytes: who gets one, over what, and how they end. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type ConnectionOptions, connect } from 'node:tls'
import t, { type Test } from 'tap'
import { type BulkServer, createBulk, hostOf } from '../../src/mesh/bulk.ts'
import type { Channel } from '../../src/mesh/channel.ts'
import { DOOR_TLS } from '../../src/mesh/door.ts'
import { bulkStream, protocols } from '../../src/mesh/protocols.ts'
import { createTickets, TICKET_LIFE_MS } from '../../src/mesh/tickets.ts'
import { memoryPeers } from './memory-streams.ts'

const { signal } = new AbortController()

async function startPair(t: Test, { address = '/ip4/127.0.0.1/tcp/1', silenceMs = 5000 } = {}) {
  const mesh = memoryPeers(['a', 'b'])
  const connection = { remoteAddr: address } as never
  const make = (id: 'a' | 'b') =>
    createBulk(
      { now: () => performance.now(), silenceMs },
      { ...mesh[id], node: { connections: () => [connection] } },
    )
  const [a, b] = [make('a'), make('b')]
  const arrived: Channel[] = []
  const port = await a.listen(0)
  await a.serve((channel) => arrived.push(channel))
  t.teardown(async () => {
    for (const channel of arrived) channel.destroy()
    await Promise.all([a.close(), b.close()])
  })
  const ticket = () => mesh.b.rpc.call('a', protocols.bulkTicket, {})
  const isStream = () => mesh.b.lastStream().protocol === bulkStream.id
  return { a, b, arrived, port, ticket, isStream }
}

async function said(channel: Channel, sizeBytes: number): Promise<string> {
  const target = Buffer.alloc(sizeBytes)
  await channel.read(target)
  return target.toString()
}

async function open(t: Test, b: BulkServer, arrived: Channel[], direct: boolean) {
  const ours = await b.open('a', { direct, signal })
  t.teardown(() => ours.destroy())
  await ours.write(Buffer.from('hello'))
  while (arrived.length === 0) await new Promise((resolve) => setImmediate(resolve))
  return { ours, theirs: arrived[0]! }
}

/** Until the other side ends it; what it sent before is read. */
async function untilEnd(channel: Channel): Promise<void> {
  try {
    for (;;) await channel.read(Buffer.alloc(1))
  } catch {}
}

const HELD_UP_MS = 1000

/** As a machine that is busy, or asleep, does to its processes. */
function holdUp(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HELD_UP_MS)
}

/** Of this process, both ends of its connections. */
function socketCount(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
}

for (const direct of [true, false]) {
  t.test(direct ? 'a TLS socket' : 'a stream of the mesh', async (t) => {
    t.test('both ways, in pieces of any size, known by who asked', async (t) => {
      const { b, arrived, isStream } = await startPair(t)
      const { ours, theirs } = await open(t, b, arrived, direct)
      t.strictSame([ours.peerId, theirs.peerId, isStream()], ['a', 'b', !direct])
      const parts = Promise.all([said(theirs, 2), said(theirs, 1), said(theirs, 2)])
      t.strictSame(await parts, ['he', 'l', 'lo'])
      const large = Buffer.alloc(3_000_000, 'comfymesh')
      const back = Buffer.alloc(large.length)
      await Promise.all([theirs.write(large), ours.read(back)])
      t.ok(back.equals(large))
    })

    t.test('what comes is put where it is wanted, whoever asks when', async (t) => {
      const { b, arrived } = await startPair(t)
      const { ours, theirs } = await open(t, b, arrived, direct)
      const large = randomBytes(3_000_000)
      const moved = [theirs.write(large)]
      const found: Buffer[] = []
      const sizes = [1, 40_000, 16_384, 16_383, 3, 1_000_000, 100_000, 20_000, 5]
      const last = 3_000_000 - sizes.reduce((sum, size) => sum + size)
      for (const [index, size] of [...sizes, last].entries()) {
        const target = Buffer.alloc(size)
        found.push(target)
        moved.push(ours.read(target))
        // Some are asked for when the one before is there, others beside it.
        if (index % 3 !== 0) await moved.at(-1)
      }
      await Promise.all(moved)
      t.ok(Buffer.concat(found).equals(large))
    })

    t.test('an end fails whoever waits, and whoever asks later', async (t) => {
      const { b, arrived } = await startPair(t)
      const { ours, theirs } = await open(t, b, arrived, direct)
      const waiting = ours.read(Buffer.alloc(10))
      await theirs.write(Buffer.from('only'))
      theirs.close()
      await t.rejects(waiting, 'four of ten bytes')
      await t.rejects(ours.read(Buffer.alloc(1)))
    })

    t.test('one that was closed holds no socket, read to its end or not', async (t) => {
      const { b, arrived } = await startPair(t)
      const { ours, theirs } = await open(t, b, arrived, direct)
      await theirs.write(Buffer.alloc(100_000))
      await ours.read(Buffer.alloc(10))
      const served = said(theirs, 6)
      ours.close()
      await t.rejects(served)
      while (socketCount() > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    })

    t.test('one that was closed waits for nothing any more', async (t) => {
      const { b, arrived } = await startPair(t, { silenceMs: 60_000 })
      const { ours } = await open(t, b, arrived, direct)
      const waiting = ours.read(Buffer.alloc(1))
      ours.close()
      await t.rejects(waiting, /closed/)
    })

    t.test('one that breaks ends the other side', async (t) => {
      const { b, arrived } = await startPair(t)
      const { ours, theirs } = await open(t, b, arrived, direct)
      ours.destroy()
      await untilEnd(theirs)
      await t.rejects(ours.write(Buffer.from('more')))
      await t.rejects(theirs.write(Buffer.from('more')))
    })

    t.test('what came while this process was held up was no silence', async (t) => {
      const { b, arrived } = await startPair(t, { silenceMs: HELD_UP_MS / 2 })
      const { ours, theirs } = await open(t, b, arrived, direct)
      const heard = said(ours, 4)
      const writing = theirs.write(Buffer.from('late'))
      holdUp()
      t.equal(await heard, 'late')
      await writing
    })

    t.test('silence while somebody waits is an end', async (t) => {
      const { b, arrived } = await startPair(t, { silenceMs: 100 })
      const { ours } = await open(t, b, arrived, direct)
      await t.rejects(ours.read(Buffer.alloc(1)))
    })
  })
}

/** Whether a key opens the listener. */
async function opens(port: number, id: string, psk: Buffer): Promise<boolean> {
  const options: ConnectionOptions = {
    ...DOOR_TLS,
    host: '127.0.0.1',
    port,
    pskCallback: () => ({ psk, identity: id }),
    checkServerIdentity: () => undefined,
  }
  const socket = connect(options)
  try {
    await once(socket, 'secureConnect')
    return true
  } catch {
    return false
  } finally {
    socket.on('error', () => {}).destroy()
  }
}

t.test('a ticket opens once, and nothing else opens', async (t) => {
  const { port, ticket } = await startPair(t)
  const { id, key } = await ticket()
  const psk = Buffer.from(key, 'base64url')
  t.equal(await opens(port, 'f'.repeat(32), psk), false, 'an unknown id')
  t.equal(await opens(port, id, psk), true)
  t.equal(await opens(port, id, psk), false, 'a ticket that was used')
  const other = await ticket()
  t.equal(await opens(port, other.id, psk), false, 'the key of another')
  const rightKey = Buffer.from(other.key, 'base64url')
  t.equal(await opens(port, other.id, rightKey), false, 'one try only')
  const plain = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await t.rejects(once(plain, 'secureConnect'), 'no key at all')
})

t.test('where no socket gets through, the stream does', async (t) => {
  const { b, arrived, isStream } = await startPair(t, { address: '/dns4/nowhere.invalid/tcp/1' })
  const { theirs } = await open(t, b, arrived, true)
  t.strictSame([await said(theirs, 5), isStream()], ['hello', true])
})

t.test('a connection whose address is no host', async (t) => {
  const { b, arrived, isStream } = await startPair(t, { address: '/memory/1' })
  const { theirs } = await open(t, b, arrived, true)
  t.strictSame([await said(theirs, 5), isStream()], ['hello', true])
})

t.test(
  'a release that names blobs or asks for chunks in another way is incompatible, and no liar',
  async (t) => {
    const mesh = memoryPeers(['a', 'b'])
    const ticket = { port: 1, id: '0'.repeat(32), key: '0'.repeat(43), expiresInMs: 1 }
    for (const n of [1, 2]) {
      const id = `/comfymesh/bulk-ticket/${n}` as const
      await mesh.a.rpc.handle({ ...protocols.bulkTicket, id }, () => ticket)
      await mesh.a.streams.accept(`/comfymesh/bulk/${n}`, 1, () => t.fail('nothing is asked of it'))
    }
    const connection = { remoteAddr: '/ip4/127.0.0.1/tcp/1' } as never
    const node = { connections: () => [connection] }
    const b = createBulk({ now: () => performance.now() }, { ...mesh.b, node })
    for (const direct of [true, false])
      await t.rejects(b.open('a', { direct, signal }), { code: 'peer_incompatible' })
  },
)

t.test('a peer that is removed loses its sockets', async (t) => {
  const { a, b, arrived } = await startPair(t)
  const { theirs } = await open(t, b, arrived, true)
  a.closeRefused((peerId) => peerId === 'somebody')
  t.equal(await said(theirs, 5), 'hello', 'others keep theirs')
  a.closeRefused((peerId) => peerId === 'b')
  await untilEnd(theirs)
})

t.test('a peer that is removed loses its unused tickets', async (t) => {
  const { a, port, ticket } = await startPair(t)
  const [first, second] = [await ticket(), await ticket()]
  a.closeRefused((peerId) => peerId === 'somebody')
  t.ok(await opens(port, first.id, Buffer.from(first.key, 'base64url')))
  a.closeRefused((peerId) => peerId === 'b')
  t.notOk(await opens(port, second.id, Buffer.from(second.key, 'base64url')))
})

t.test('tickets grow old, and a peer has only so many', async (t) => {
  let nowMs = 0
  const tickets = createTickets({ now: () => nowMs })
  const old = tickets.issue('a')
  nowMs = TICKET_LIFE_MS
  t.equal(tickets.use(old.id), undefined)
  const { id, key } = tickets.issue('a')
  t.strictSame(tickets.use(id)?.key, key)
  t.equal(tickets.use(id), undefined)
  for (let i = 0; i < 32; i++) tickets.issue('a')
  t.throws(() => tickets.issue('a'), { code: 'busy' })
  t.ok(tickets.issue('b'))
  nowMs += TICKET_LIFE_MS
  t.ok(tickets.issue('a'))
})

t.test('hosts of addresses', async (t) => {
  t.equal(hostOf('/ip4/10.0.0.2/tcp/8289/p2p/12D3'), '10.0.0.2')
  t.equal(hostOf('/ip6/fd00::1/tcp/8289'), 'fd00::1')
  t.equal(hostOf('/ip6zone/eth0/ip6/fe80::1/tcp/8289'), 'fe80::1%eth0')
  t.equal(hostOf('/dns4/studio-pc/tcp/8289'), 'studio-pc')
  t.equal(hostOf('/memory/1'), undefined)
})
