/** Peers that give each other blobs: memory for the mesh's streams, real TLS sockets of this machine. */
import { join } from 'node:path'
import type { Test } from 'tap'
import { type BulkServer, createBulk } from '../../src/mesh/bulk.ts'
import type { Channel } from '../../src/mesh/channel.ts'
import { type BlobStore, openBlobStore } from '../../src/store/blobs.ts'
import { createTensors, type Tensors, type TensorsOptions } from '../../src/tensors/tensors.ts'
import { memoryPeers } from '../mesh/memory-streams.ts'

export const ways = ['tls', 'stream'] as const

export interface TensorPeer {
  readonly blobs: BlobStore
  readonly tensors: Tensors
  readonly bulk: BulkServer
  readonly folder: string
  readonly warnings: string[]
  /** Channels that others opened to it. */
  readonly served: Channel[]
  /** Of each channel that it opened, whether a socket of its own was asked for. */
  readonly directs: boolean[]
  /** From now on everything it sends goes through this. */
  tamper(write: Tamper): void
}

/** What becomes of bytes that a peer sends: passed on as they are, changed, or not at all. */
export type Tamper = (bytes: Uint8Array, channel: Channel) => Promise<void>

export interface PeersOptions extends Partial<Omit<TensorsOptions, 'selfId'>> {
  /** Over which kind of channel they reach each other. */
  readonly way?: (typeof ways)[number]
  readonly silenceMs?: number
  /** The folder of peers that run again. */
  readonly root?: string
}

export async function startPeers<const Id extends string>(
  t: Test,
  ids: readonly Id[],
  options: PeersOptions = {},
): Promise<{ readonly [id in Id]: TensorPeer }> {
  const mesh = memoryPeers(ids)
  const root = options.root ?? t.testdir()
  const { way = 'tls', silenceMs = 5000 } = options
  const now = () => performance.now()
  const address = { remoteAddr: '/ip4/127.0.0.1/tcp/1' } as never

  async function start(id: Id): Promise<TensorPeer> {
    const folder = join(root, id)
    const warnings: string[] = []
    const warn = (message: string) => void warnings.push(message)
    const blobs = await openBlobStore({ folder, budgetBytes: 2 ** 32 }, { now: Date.now, warn })
    const bulk = createBulk(
      { now, silenceMs },
      { ...mesh[id], node: { connections: () => (way === 'tls' ? [address] : []) } },
    )
    const directs: boolean[] = []
    const open: BulkServer['open'] = (peerId, how) => {
      directs.push(how.direct)
      return bulk.open(peerId, how)
    }
    const tensors = createTensors({ selfId: id, ...options }, { blobs, open, now, warn })
    const served: Channel[] = []
    let tampered: Tamper = (bytes, channel) => channel.write(bytes)
    await bulk.listen(0)
    await bulk.serve((channel) => {
      served.push(channel)
      tensors.serve({ ...channel, write: (bytes) => tampered(bytes, channel) })
    })
    t.teardown(async () => {
      await bulk.close()
      for (const channel of served) channel.destroy()
      await blobs.stop()
    })
    const tamper = (write: Tamper) => {
      tampered = write
    }
    return { blobs, tensors, bulk, folder, warnings, served, directs, tamper }
  }

  const started = await Promise.all(ids.map(async (id) => [id, await start(id)] as const))
  return Object.fromEntries(started) as { [id in Id]: TensorPeer }
}
