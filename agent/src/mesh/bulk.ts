/**
 * Channels for large bytes. A ticket asked for over the authenticated libp2p connection opens one
 * TLS 1.3 socket straight to the peer, three times as fast as a libp2p stream; where no such socket
 * gets through, the stream does.
 */
import { once } from 'node:events'
import type { AddressInfo, ConnectOpts } from 'node:net'
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls'
import { MeshError } from '@comfymesh/protocol/errors'
import type { Channel } from './channel.ts'
import { DOOR_TLS } from './door.ts'
import type { HostPort } from './invite-line.ts'
import type { MeshNode } from './node.ts'
import { bulkStream, protocols } from './protocols.ts'
import type { Rpc, Streams } from './rpc.ts'
import { streamChannel } from './stream-channel.ts'
import { createTickets, TICKET_LIFE_MS } from './tickets.ts'
import { tlsChannel, tlsInbox } from './tls-channel.ts'

export interface Bulk {
  /**
   * Opens a channel to a connected peer.
   * @param direct whether a TLS socket is worth its setting up; else a stream is opened.
   * @throws MeshError `peer_unreachable`, `peer_incompatible`, `busy`, `interrupted`
   */
  open(
    peerId: string,
    options: { readonly direct: boolean; readonly signal: AbortSignal },
  ): Promise<Channel>
  /** Answers peers that open a channel to this machine. */
  serve(onChannel: (channel: Channel) => void): Promise<void>
}

export interface BulkServer extends Bulk {
  /** @returns the port. @throws Error `EADDRINUSE` */
  listen(port: number): Promise<number>
  /** Ends the channels of peers that are refused by now, and what they could open some with. */
  closeRefused(isRefused: (peerId: string) => boolean): void
  close(): Promise<void>
}

export interface BulkOptions {
  /** So long nothing may move on a channel while somebody waits. */
  readonly silenceMs?: number
  readonly now: () => number
}

export interface BulkModules {
  readonly rpc: Pick<Rpc, 'call' | 'handle'>
  readonly streams: Streams
  /** Of the open connections, by whose addresses the peer is known to be reached. */
  readonly node: Pick<MeshNode, 'connections'>
}

/** Longer than a garbage collection or a busy disk, shorter than a user's patience. */
const SILENCE_MS = 5000
/** The serving side waits for requests and for slow disks at the other end too. */
const SERVER_PATIENCE = 6
const CONNECT_TIMEOUT_MS = 2500
/** What did not get through, such as a firewall, is not tried again before. */
const AVOID_DIRECT_MS = 60_000
const MAX_SOCKETS = 256
const MAX_SOCKETS_PER_PEER = 16

export function createBulk(options: BulkOptions, modules: BulkModules): BulkServer {
  const { now } = options
  const silenceMs = options.silenceMs ?? SILENCE_MS
  const { rpc, streams, node } = modules
  const tickets = createTickets({ now })
  const ticketHolders = new WeakMap<object, string>()
  /** By connection: a peer that came back may be reached in another way. */
  const avoidedUntilMs = new WeakMap<object, number>()
  const open = new Set<{ readonly peerId: string; readonly socket: TLSSocket }>()
  let onChannel = (channel: Channel) => channel.destroy()
  let port = 0

  const server = createServer(
    {
      ...DOOR_TLS,
      handshakeTimeout: CONNECT_TIMEOUT_MS,
      pskCallback(socket, identity) {
        const ticket = tickets.use(identity)
        if (ticket === undefined) return null
        ticketHolders.set(socket, ticket.peerId)
        return ticket.key
      },
    },
    (socket) => {
      const peerId = ticketHolders.get(socket)
      socket.on('error', () => socket.destroy())
      const ofPeer = [...open].filter((one) => one.peerId === peerId)
      if (peerId === undefined || ofPeer.length >= MAX_SOCKETS_PER_PEER) return socket.destroy()
      const entry = { peerId, socket }
      open.add(entry)
      socket.once('close', () => open.delete(entry))
      onChannel(tlsChannel(socket, peerId, silenceMs * SERVER_PATIENCE))
    },
  )
  server.maxConnections = MAX_SOCKETS
  // A failed handshake ends its own connection.
  server.on('tlsClientError', () => {})

  async function openDirect(peerId: string, host: string, signal: AbortSignal): Promise<Channel> {
    const ticket = await rpc.call(peerId, protocols.bulkTicket, {}, { signal })
    const key = Buffer.from(ticket.key, 'base64url')
    return connectTo({ host, port: ticket.port }, { ...ticket, key, peerId, silenceMs }, signal)
  }

  return {
    async open(peerId, { direct, signal }) {
      const connection = direct ? node.connections(peerId)[0] : undefined
      const host = connection && hostOf(connection.remoteAddr.toString())
      if (host !== undefined && (avoidedUntilMs.get(connection!) ?? 0) <= now()) {
        try {
          return await openDirect(peerId, host, signal)
        } catch (error) {
          if (signal.aborted || error instanceof MeshError) throw error
          avoidedUntilMs.set(connection!, now() + AVOID_DIRECT_MS)
        }
      }
      return streamChannel(await streams.open(peerId, bulkStream.id, signal), peerId, silenceMs)
    },
    async serve(listener) {
      onChannel = listener
      await rpc.handle(protocols.bulkTicket, (_, { peerId }) => {
        const { id, key } = tickets.issue(peerId)
        return { port, id, key: key.toString('base64url'), expiresInMs: TICKET_LIFE_MS }
      })
      await streams.accept(bulkStream.id, bulkStream.maxStreams, (stream, peerId) =>
        listener(streamChannel(stream, peerId, silenceMs * SERVER_PATIENCE)),
      )
    },
    async listen(wanted) {
      server.listen(wanted)
      await once(server, 'listening')
      port = (server.address() as AddressInfo).port
      return port
    },
    closeRefused(isRefused) {
      tickets.drop(isRefused)
      for (const { peerId, socket } of open) if (isRefused(peerId)) socket.destroy()
    },
    async close() {
      for (const { socket } of open) socket.destroy()
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
}

/** The host in a multiaddr such as `/ip4/10.0.0.2/tcp/8289`, with the zone of a link-local address. */
export function hostOf(address: string): string | undefined {
  const zone = /^\/ip6zone\/([^/]+)\//.exec(address)?.[1]
  const host = /\/(?:ip4|ip6|dns[46]?)\/([^/]+)/.exec(address)?.[1]
  return zone === undefined || host === undefined ? host : `${host}%${zone}`
}

interface Admission {
  readonly id: string
  readonly key: Buffer
  readonly peerId: string
  readonly silenceMs: number
}

async function connectTo(
  { host, port }: HostPort,
  { id, key, peerId, silenceMs }: Admission,
  signal: AbortSignal,
): Promise<Channel> {
  const inbox = tlsInbox(silenceMs, () => socket)
  const options: ConnectionOptions & ConnectOpts = {
    host,
    port,
    ...DOOR_TLS,
    pskCallback: () => ({ psk: key, identity: id }),
    // The key itself proves who answers; there are no certificates.
    checkServerIdentity: () => undefined,
    // Neither a new buffer for every piece nor a copy: together they cost as much as decrypting.
    onread: { buffer: inbox.room, callback: inbox.arrived },
  }
  const socket = connect(options)
  const stop = () => socket.destroy(new Error('it does not answer'))
  const timer = setTimeout(stop, CONNECT_TIMEOUT_MS)
  signal.addEventListener('abort', stop)
  try {
    await once(socket, 'secureConnect')
    signal.throwIfAborted()
    return tlsChannel(socket, peerId, silenceMs, inbox)
  } catch (error) {
    socket.on('error', () => {}).destroy()
    throw error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}
