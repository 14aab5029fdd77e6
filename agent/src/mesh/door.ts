/**
 * The door: where those knock who cannot speak to the mesh yet. A TLS 1.3 listener without
 * certificates, opened by pre-shared keys only: whoever lacks a key ends in the handshake. Behind
 * it one question and one answer, a line of JSON each. What may be asked is a table of rows.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { type ErrorReport, MeshError } from '@comfymesh/protocol/errors'
import { z } from 'zod'
import { isSignedBy } from './identity.ts'
import { peerIdOf } from './peer-id.ts'

/** The suite of pre-shared keys with SHA-256; the key exchange stays ephemeral. */
export const DOOR_TLS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256',
} as const

/** What both sides sign: only these two ends of this very connection can compute it. */
export function channelBinding(socket: TLSSocket): Buffer {
  return socket.exportKeyingMaterial(32, 'EXPORTER-comfymesh-door', Buffer.alloc(0))
}

const knockSchema = z.object({
  /** Of the identity that knocks, base64url. */
  publicKey: z.string(),
  /** Of the channel binding, base64url: it proves that the identity is its own. */
  signature: z.string(),
  name: z.string().min(1).max(64),
})

export interface Guest {
  readonly peerId: string
  readonly name: string
}

export type DoorAnswer = { readonly ok: unknown } | { readonly error: ErrorReport }

/** One reason to knock. */
export interface DoorRow {
  /** The key for an id, or undefined: then the handshake fails. */
  key(id: string): Buffer | undefined
  /** @throws MeshError that is told to the guest. */
  welcome(id: string, guest: Guest): unknown
}

export interface Door {
  /** @returns the port. @throws Error `EADDRINUSE` */
  listen(port: number): Promise<number>
  close(): Promise<void>
}

/** Knocking is rare and short; more at a time is an attack. */
const MAX_GUESTS = 64
const HANDSHAKE_TIMEOUT_MS = 5000
const GUEST_TIMEOUT_MS = 10_000
const MAX_KNOCK_BYTES = 16 * 1024

/** @param rows by the word that stands before the id in the TLS identity: `join/5f0c...`. */
export function createDoor(rows: { readonly [reason: string]: DoorRow }): Door {
  const keyholders = new WeakMap<object, string>()
  const guests = new Set<TLSSocket>()
  const server: Server = createServer(
    {
      ...DOOR_TLS,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      pskCallback(socket, identity) {
        keyholders.set(socket, identity)
        const [reason = '', id = ''] = identity.split('/')
        return (Object.hasOwn(rows, reason) ? rows[reason]!.key(id) : undefined) ?? null
      },
    },
    (socket) => {
      guests.add(socket)
      socket.once('close', () => guests.delete(socket))
      socket.once('error', () => socket.destroy())
      socket.setTimeout(GUEST_TIMEOUT_MS, () => socket.destroy())
      receive(socket, keyholders.get(socket) ?? '').catch(() => socket.destroy())
    },
  )
  server.maxConnections = MAX_GUESTS
  // A failed handshake ends its own connection.
  server.on('tlsClientError', () => {})

  async function receive(socket: TLSSocket, identity: string): Promise<void> {
    const binding = channelBinding(socket)
    const knock = knockSchema.parse(JSON.parse(await firstLine(socket, MAX_KNOCK_BYTES)))
    const publicKey = Buffer.from(knock.publicKey, 'base64url')
    if (!isSignedBy(publicKey, binding, Buffer.from(knock.signature, 'base64url'))) {
      throw new Error('the signature is not that of the identity')
    }
    const [reason = '', id = ''] = identity.split('/')
    const guest = { peerId: peerIdOf(publicKey), name: knock.name }
    socket.end(`${JSON.stringify(answerTo(rows[reason]!, id, guest))}\n`)
  }

  return {
    async listen(port) {
      server.listen(port)
      await once(server, 'listening')
      return (server.address() as AddressInfo).port
    },
    async close() {
      for (const guest of guests) guest.destroy()
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
}

function answerTo(row: DoorRow, id: string, guest: Guest): DoorAnswer {
  try {
    return { ok: row.welcome(id, guest) }
  } catch (thrown) {
    return { error: MeshError.from(thrown).toReport() }
  }
}

/** @throws Error when the other side ends before its line does, or says too much. */
export async function firstLine(socket: TLSSocket, maxBytes: number): Promise<string> {
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of socket.iterator({ destroyOnReturn: false })) {
    parts.push(part)
    sizeBytes += part.length
    if (sizeBytes > maxBytes) throw new Error('the line is too long')
    if (part.includes(0x0a)) return Buffer.concat(parts).toString('utf8').split('\n')[0]!
  }
  throw new Error('the connection ended within a line')
}
