/** Blobs from peer to peer, over both kinds of channel: what arrives, what breaks, and who is named. */
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Blob } from '@comfymesh/protocol/value'
import { CHUNK_BYTES } from '@comfymesh/protocol/value'
import t, { type Test } from 'tap'
import type { Channel } from '../../src/mesh/channel.ts'
import { startPeers, type TensorPeer, ways } from './tensor-peers.ts'

const { signal: never } = new AbortController()
const fetching = { signal: never }
const MIB = 1024 * 1024

function from(blob: Blob, ...holders: string[]) {
  return [{ blob, holders }]
}

/** Never goes through, as to a peer that does not read: it fails when the channel ends. */
async function untilEnd(channel: Channel): Promise<void> {
  for (;;) await channel.read(Buffer.alloc(1))
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 5))

function sameBytes(t: Test, peer: TensorPeer, { hash }: Blob, bytes: Buffer, message: string) {
  const path = peer.blobs.path(hash)
  t.ok(path !== undefined && readFileSync(path).equals(bytes), message)
}

for (const way of ways) {
  t.test(`over ${way}`, async (t) => {
    t.test('blobs of all sizes arrive bit by bit', async (t) => {
      const { a, b } = await startPeers(t, ['a', 'b'], { way })
      const sizes = [1, 1000, MIB, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 12_345]
      for (const size of sizes) {
        const bytes = randomBytes(size)
        const blob = await a.blobs.put(bytes)
        const { transferBytes } = await b.tensors.fetch(from(blob, 'a'), fetching)
        t.equal(transferBytes, size)
        sameBytes(t, b, blob, bytes, `${size} bytes`)
      }
      t.strictSame(
        b.directs,
        sizes.map((size) => size >= MIB),
        'small ones always take the stream',
      )
      const total = sizes.reduce((sum, size) => sum + size)
      t.equal(b.tensors.traffic().receivedBytes, total)
      t.ok(a.tensors.traffic().sentBytes >= total)
      t.strictSame(readdirSync(join(b.folder, 'partial')), [])
    })

    t.test('what is here is not moved', async (t) => {
      const { a, b } = await startPeers(t, ['a', 'b'], { way })
      const blob = await a.blobs.put(randomBytes(100))
      const here = await a.tensors.fetch(from(blob, 'a', 'b'), fetching)
      t.equal(here.transferBytes, 0)
      await b.tensors.fetch(from(blob, 'a'), fetching)
      t.equal((await b.tensors.fetch(from(blob, 'a'), fetching)).transferBytes, 0)
      t.equal(a.served.length, 1)
    })

    t.test('many at once, each of them once', async (t) => {
      const { a, b } = await startPeers(t, ['a', 'b'], { way })
      const blobs = await Promise.all(
        Array.from({ length: 12 }, (_, i) => a.blobs.put(randomBytes(50_000 + i))),
      )
      const wanted = [...blobs, ...blobs].map((blob) => ({ blob, holders: ['a'] }))
      const [one, other] = await Promise.all([
        b.tensors.fetch(wanted, fetching),
        b.tensors.fetch(wanted, fetching),
      ])
      const total = blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      t.equal(one.transferBytes + other.transferBytes, total)
      t.ok(blobs.every(({ hash }) => b.blobs.has(hash)))
    })

    t.test('a broken link: goes on where it broke', async (t) => {
      const { a, b } = await startPeers(t, ['a', 'b'], { way })
      const bytes = randomBytes(6 * CHUNK_BYTES)
      const blob = await a.blobs.put(bytes)
      let sentBytes = 0
      let breaks = 0
      a.tamper(async (piece, channel) => {
        sentBytes += piece.length
        if (sentBytes > (breaks + 1) * 2.5 * CHUNK_BYTES && breaks < 2) {
          breaks++
          return channel.destroy()
        }
        await channel.write(piece)
      })
      const { transferBytes } = await b.tensors.fetch(from(blob, 'a'), fetching)
      t.equal(breaks, 2)
      t.equal(transferBytes, bytes.length, 'no chunk came twice')
      sameBytes(t, b, blob, bytes, 'the same bytes')
    })

    t.test('a link that broke for good, and then a restart: the rest comes later', async (t) => {
      const root = t.testdir()
      const bytes = randomBytes(4 * CHUNK_BYTES)
      const first = await startPeers(t, ['a', 'b'], { way, root, patienceMs: 0 })
      const blob = await first.a.blobs.put(bytes)
      let sentBytes = 0
      first.a.tamper(async (piece, channel) => {
        sentBytes += piece.length
        if (sentBytes <= 2.5 * CHUNK_BYTES) return channel.write(piece)
        while (first.b.tensors.traffic().receivedBytes < 2 * CHUNK_BYTES) await soon()
        channel.destroy()
      })
      await t.rejects(first.b.tensors.fetch(from(blob, 'a'), fetching), {
        code: 'peer_unreachable',
        retryable: true,
        details: { peerId: 'a', hash: blob.hash },
      })
      t.equal(first.b.blobs.has(blob.hash), false)
      const partial = join(first.b.folder, 'partial', blob.hash)
      t.ok(existsSync(partial))
      // A chunk that was written in part only.
      truncateSync(partial, statSync(partial).size - 10)

      await Promise.all([first.a.blobs.stop(), first.b.blobs.stop()])
      const { b } = await startPeers(t, ['a', 'b'], { way, root })
      const { transferBytes } = await b.tensors.fetch(from(blob, 'a'), fetching)
      t.ok(transferBytes < bytes.length && transferBytes > 0, `only ${transferBytes} bytes`)
      sameBytes(t, b, blob, bytes, 'the same bytes')
    })

    t.test('a peer that says nothing any more is a broken link', async (t) => {
      const { a, b } = await startPeers(t, ['a', 'b'], { way, silenceMs: 200, patienceMs: 0 })
      const blob = await a.blobs.put(randomBytes(2 * CHUNK_BYTES))
      let sent = 0
      a.tamper(async (piece, channel) => {
        if (sent++ < 2) await channel.write(piece)
        else await untilEnd(channel)
      })
      await t.rejects(b.tensors.fetch(from(blob, 'a'), fetching), { code: 'peer_unreachable' })
    })

    t.test('a slow one is waited for as long as something comes', async (t) => {
      const { a, b } = await startPeers(t, ['a', 'b'], { way, silenceMs: 300, patienceMs: 0 })
      const bytes = randomBytes(100_000)
      const blob = await a.blobs.put(bytes)
      a.tamper(async (piece, channel) => {
        for (let at = 0; at < piece.length; at += 10_000) {
          await channel.write(piece.subarray(at, at + 10_000))
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
      })
      await b.tensors.fetch(from(blob, 'a'), fetching)
      sameBytes(t, b, blob, bytes, 'after longer than the longest silence')
    })

    t.test('one flipped bit is noticed, and who sent it is named', async (t) => {
      const { a, b } = await startPeers(t, ['a', 'b'], { way })
      const blob = await a.blobs.put(randomBytes(CHUNK_BYTES + 10))
      let sent = 0
      for (const nth of [0, 2]) {
        sent = 0
        a.tamper(async (piece, channel) => {
          const changed = Buffer.from(piece)
          // The digests come first, then the header of a chunk, then its bytes.
          if (sent++ === nth) changed[changed.length - 1]! ^= 1
          await channel.write(changed)
        })
        await t.rejects(b.tensors.fetch(from(blob, 'a'), fetching), {
          code: 'corrupt_value',
          retryable: true,
          details: { peerId: 'a', hash: blob.hash },
        })
        t.equal(b.blobs.has(blob.hash), false)
      }
      t.match(b.warnings, [/Peer a sent other bytes/])
    })

    t.test('a file that changed on the disk of its holder', async (t) => {
      const { a, b } = await startPeers(t, ['a', 'b'], { way, patienceMs: 0 })
      const blob = await a.blobs.put(randomBytes(200_000))
      writeFileSync(a.blobs.path(blob.hash)!, randomBytes(200_000))
      await t.rejects(b.tensors.fetch(from(blob, 'a'), fetching), { code: 'corrupt_value' })
      truncateSync(a.blobs.path(blob.hash)!, 1000)
      await t.rejects(b.tensors.fetch(from(blob, 'a'), fetching), { code: 'peer_unreachable' })
    })

    t.test('a peer that speaks something else', async (t) => {
      const { a, b } = await startPeers(t, ['a', 'b'], { way, patienceMs: 0 })
      const blob = await a.blobs.put(randomBytes(200_000))
      const say = (bytes: Buffer) => a.tamper((_, channel) => channel.write(bytes))
      say(Buffer.from([0, 0, 0, 2, 0x7b, 0x2c]))
      await t.rejects(b.tensors.fetch(from(blob, 'a'), fetching), { code: 'peer_incompatible' })
      say(Buffer.from([255, 255, 255, 255, 0, 0]))
      await t.rejects(b.tensors.fetch(from(blob, 'a'), fetching), { code: 'peer_unreachable' })
    })

    t.test('who has it no more is told so, and the next is asked', async (t) => {
      const { a, b, c } = await startPeers(t, ['a', 'b', 'c'], { way })
      const bytes = randomBytes(100_000)
      const blob = await c.blobs.put(bytes)
      await b.tensors.fetch(from(blob, 'a', 'c'), fetching)
      sameBytes(t, b, blob, bytes, 'from the other')
      t.equal(a.served.length, 1)
      const lost = { hash: '0'.repeat(64), sizeBytes: 5000 }
      await t.rejects(b.tensors.fetch(from(lost, 'a', 'c'), fetching), {
        code: 'value_lost',
        retryable: true,
        message: /a, c was asked/,
        details: { hash: lost.hash, asked: [{ peerId: 'a' }, { peerId: 'c' }] },
      })
      const nobody = b.tensors.fetch(from(lost), fetching)
      await t.rejects(nobody, { code: 'value_lost', message: /nobody was asked/ })
      const otherSize = { ...blob, sizeBytes: 99_999 }
      await t.rejects(a.tensors.fetch(from(otherSize, 'c'), fetching), { code: 'value_lost' })
    })

    t.test('cancelling ends it at once, and what came is kept', async (t) => {
      const { a, b } = await startPeers(t, ['a', 'b'], { way })
      const bytes = randomBytes(4 * CHUNK_BYTES)
      const blob = await a.blobs.put(bytes)
      const cancelling = new AbortController()
      let sentBytes = 0
      a.tamper(async (piece, channel) => {
        sentBytes += piece.length
        if (sentBytes > 2 * CHUNK_BYTES) cancelling.abort()
        await channel.write(piece)
      })
      const cancelled = b.tensors.fetch(from(blob, 'a'), cancelling)
      await t.rejects(cancelled, { code: 'interrupted' })
      t.equal(b.blobs.has(blob.hash), false)
      const again = await b.tensors.fetch(from(blob, 'a'), fetching)
      t.ok(again.transferBytes > 0)
      sameBytes(t, b, blob, bytes, 'asked again')
    })
  })
}

t.test('two who want the same: one may cancel', async (t) => {
  const { a, b } = await startPeers(t, ['a', 'b'])
  const bytes = randomBytes(2 * CHUNK_BYTES)
  const blob = await a.blobs.put(bytes)
  const cancelling = new AbortController()
  a.tamper(async (piece, channel) => {
    cancelling.abort()
    await channel.write(piece)
  })
  const first = b.tensors.fetch(from(blob, 'a'), cancelling)
  const second = b.tensors.fetch(from(blob, 'a'), fetching)
  await t.rejects(first, { code: 'interrupted' })
  await second
  sameBytes(t, b, blob, bytes, 'for the one who did not')
  t.equal(a.served.length, 1)
})

t.test('several holders share the work', async (t) => {
  const { a, b, c } = await startPeers(t, ['a', 'b', 'c'])
  const bytes = randomBytes(12 * CHUNK_BYTES)
  const blob = await a.blobs.put(bytes)
  await c.blobs.put(bytes)
  const { transferBytes } = await b.tensors.fetch(from(blob, 'a', 'c'), fetching)
  sameBytes(t, b, blob, bytes, 'together')
  t.ok(transferBytes >= bytes.length)
  for (const peer of [a, c]) t.ok(peer.tensors.traffic().sentBytes > CHUNK_BYTES)
})

t.test('a frozen, a dead and a lying holder do not hold up a sound one', async (t) => {
  const ids = ['frozen', 'dead', 'liar', 'sound', 'b'] as const
  const peers = await startPeers(t, ids, { doubleAfterMs: 50, silenceMs: 60_000 })
  const bytes = randomBytes(8 * CHUNK_BYTES)
  const blob = await peers.sound.blobs.put(bytes)
  for (const id of ['frozen', 'dead', 'liar'] as const) await peers[id].blobs.put(bytes)
  peers.frozen.tamper((_, channel) => untilEnd(channel))
  peers.dead.tamper(async (_, channel) => channel.destroy())
  peers.liar.tamper((piece, channel) => channel.write(piece.map((byte) => byte ^ 1)))
  const { b } = peers
  await b.tensors.fetch(from(blob, 'frozen', 'dead', 'liar', 'sound'), fetching)
  sameBytes(t, b, blob, bytes, 'sooner than the silence of one ends')
})

t.test('a full disk is said, and nothing is left of it', async (t) => {
  const { a, b } = await startPeers(t, ['a', 'b'])
  const blob = await a.blobs.put(randomBytes(3 * CHUNK_BYTES))
  const { open } = await import('node:fs/promises')
  const probe = await open(join(b.folder, 'probe'), 'w')
  await probe.close()
  const files = Object.getPrototypeOf(probe) as { write: unknown }
  const { write } = files
  files.write = async () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  }
  t.teardown(() => {
    files.write = write
  })
  await t.rejects(b.tensors.fetch(from(blob, 'a'), fetching), {
    code: 'storage_failed',
    message: /Free some space/,
  })
  t.strictSame(readdirSync(join(b.folder, 'partial')), [])
  files.write = write
  await b.tensors.fetch(from(blob, 'a'), fetching)
  t.ok(b.blobs.has(blob.hash))
})

t.test('links are measured by what moves', async (t) => {
  const { a, b } = await startPeers(t, ['a', 'b'])
  await b.tensors.fetch(from(await a.blobs.put(randomBytes(10)), 'a'), fetching)
  t.strictSame(b.tensors.links(), [], 'ten bytes tell no rate')
  await b.tensors.fetch(from(await a.blobs.put(randomBytes(4 * CHUNK_BYTES)), 'a'), fetching)
  const [link, ...more] = b.tensors.links()
  t.strictSame([link!.peerIds, more], [['b', 'a'], []])
  t.ok((link!.bytesPerSecond ?? 0) > 0 && (link!.roundTripMs ?? 0) > 0)
})
