/**
 * One end of a measured transfer, in a process of its own: `source` sends plain bytes over TCP and
 * TLS; `sink` takes them, and fetches blobs as an agent does.
 */
import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import type { Blob } from '@comfymesh/protocol/value'
import type { Membership } from '../../src/mesh/membership.ts'
import { openBlobStore } from '../../src/store/blobs.ts'
import { createTensors } from '../../src/tensors/tensors.ts'
import { startPeer } from './mesh-peer.ts'

export interface SinkTask {
  readonly tcpPort?: number
  readonly tlsPort?: number
  /** Comes into an empty store. */
  readonly wanted?: { readonly blob: Blob; readonly folder: string }
}

export interface Moved {
  readonly seconds: number
  readonly cpuSeconds: number
  /** Until it was on the disk as well; blobs only. */
  readonly syncedSeconds?: number
}

export interface SinkOptions {
  readonly folder: string
  readonly membership: Membership
  readonly holder: string
  readonly sizeBytes: number
}

const TLS = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' } as const
const psk = Buffer.alloc(32, 7)
const WRITE_BYTES = 1024 * 1024

async function source(sizeBytes: number): Promise<void> {
  const piece = Buffer.alloc(WRITE_BYTES, 'comfymesh')
  async function send(socket: Socket): Promise<void> {
    for (let sent = 0; sent < sizeBytes; sent += WRITE_BYTES) {
      if (!socket.write(piece)) await once(socket, 'drain')
    }
    socket.end()
  }
  const tcp = createServer((socket) => void send(socket))
  const tls = createTlsServer({ ...TLS, pskCallback: () => psk }, (socket) => void send(socket))
  for (const server of [tcp, tls]) await once(server.listen(0, '127.0.0.1'), 'listening')
  const [tcpPort, tlsPort] = [tcp, tls].map((server) => (server.address() as AddressInfo).port)
  process.send!({ tcpPort, tlsPort })
}

type Wanted = NonNullable<SinkTask['wanted']>

async function sink({ folder, membership, holder, sizeBytes }: SinkOptions): Promise<void> {
  const mesh = await startPeer(join(folder, 'peer'), membership, 'sink')
  const bulk = await mesh.bulk()
  while (!mesh.present().some(({ peerId }) => peerId === holder)) {
    await new Promise((resolve) => mesh.onChange(() => resolve(undefined)))
  }

  async function receive(socket: Socket): Promise<void> {
    let received = 0
    socket.on('data', (bytes) => {
      received += bytes.length
    })
    await once(socket, 'close')
    if (received !== sizeBytes) throw new Error(`only ${received} bytes came`)
  }

  /** @returns waits until it is synced. */
  async function fetchBlob({ blob, folder }: Wanted): Promise<() => Promise<void>> {
    const warn = (message: string) => console.error(message)
    const blobs = await openBlobStore({ folder }, { now: Date.now, warn })
    const now = () => performance.now()
    const tensors = createTensors({ selfId: 'sink' }, { blobs, open: bulk.open, now, warn })
    await tensors.fetch([{ blob, holders: [holder] }], { signal: new AbortController().signal })
    if (!blobs.has(blob.hash)) throw new Error('the blob did not come')
    return blobs.stop
  }

  async function move({
    tcpPort,
    tlsPort,
    wanted,
  }: SinkTask): Promise<(() => Promise<void>) | void> {
    if (wanted !== undefined) return fetchBlob(wanted)
    if (tcpPort !== undefined) return receive(connectTcp(tcpPort, '127.0.0.1'))
    const port = tlsPort!
    const pskCallback = () => ({ psk, identity: 'raw' })
    const checkServerIdentity = () => undefined
    return receive(
      connectTls({ ...TLS, port, host: '127.0.0.1', pskCallback, checkServerIdentity }),
    )
  }

  process.on('message', async (task: SinkTask) => {
    // What a transfer leaves would be collected within the next one.
    globalThis.gc!()
    const startedAtMs = performance.now()
    const before = process.cpuUsage()
    const finish = await move(task)
    const seconds = (performance.now() - startedAtMs) / 1000
    const { user, system } = process.cpuUsage(before)
    await finish?.()
    const syncedSeconds = (performance.now() - startedAtMs) / 1000
    process.send!({ seconds, cpuSeconds: (user + system) / 1e6, syncedSeconds } satisfies Moved)
  })
  process.send!('ready')
}

const [role, options] = process.argv.slice(2)
if (role === 'source') await source(Number(options))
if (role === 'sink') await sink(JSON.parse(options!))
process.on('disconnect', () => process.exit())
