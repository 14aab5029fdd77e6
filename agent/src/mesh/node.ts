/** The libp2p node of this agent: TCP, Noise bound to the mesh's secret, Yamux; and its streams. */
import './polyfill.ts'
import { createServer, isIP } from 'node:net'
import { MeshError } from '@comfymesh/protocol/errors'
import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import { type Connection, FaultTolerance } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import type { Identity } from './identity.ts'
import type { HostPort } from './invite-line.ts'
import { createLines, type Line } from './lines.ts'
import { meshNoise } from './noise.ts'
import { incompatible, type Streams } from './rpc.ts'

export interface MeshNode {
  readonly port: number
  readonly streams: Streams
  /** Ids of the peers with an open connection. */
  connectedPeers(): string[]
  /** The open ones, the one that stays first: where both sides dialled, that of the lesser id. */
  connections(peerId: string): Connection[]
  /**
   * @param peerId who must answer; undefined accepts any member.
   * @returns the id of whoever answered. @throws Error
   */
  dial(at: HostPort, peerId: string | undefined, signal: AbortSignal): Promise<string>
  /** Told of every connection, also of those that opened while other parts of this agent started. */
  onConnection(listener: (connection: Connection) => void): void
  onConnectionEnd(listener: (connection: Connection) => void): void
  stop(): Promise<void>
}

export interface NodeOptions {
  readonly identity: Identity
  /** The mesh's secret at the moment of a handshake. */
  readonly secret: () => string
  /** The port that is tried first; undefined takes any. */
  readonly port: number
  /** Whether another may be taken where that one is not free. */
  readonly anyPortWillDo: boolean
  /** Peers that may not connect, whatever they know. */
  readonly isRefused: (peerId: string) => boolean
  /** Told of what carries each connection, before it opens. */
  readonly onLine?: (line: Line) => void
}

/** Measured: with less a paused fast stream is reset. */
const STREAM_WINDOW_BYTES = 4 * 1024 * 1024
/** What is under way when a reader pauses must have room. */
export const READ_BUFFER_BYTES = 16 * 1024 * 1024

/** Above what one agent can serve; each peer has one connection, for a moment two. */
const MAX_CONNECTIONS = 1000
/** libp2p's 5 a second and address keep a mesh on one machine, or behind one router, apart. */
const MAX_INBOUND_PER_SECOND = 200
/** A dead address on a LAN costs this much before the next one is tried. */
const ADDRESS_DIAL_TIMEOUT_MS = 1500

/** @throws MeshError `invalid_settings` when the port is taken. */
export async function startNode(options: NodeOptions): Promise<MeshNode> {
  const wanted = options.port === 0 || (await isFree(options.port))
  const node = wanted ? await listen(options, options.port) : undefined
  // Another agent may have taken it since.
  const listening = node && portOf(node) !== undefined ? node : undefined
  if (listening === undefined) await node?.stop()
  if (listening === undefined && !options.anyPortWillDo) throw portTaken(options.port)
  return wrap(listening ?? (await listen(options, 0)))
}

/** libp2p counts a listener that failed as no more than a missing one. */
function listen(options: NodeOptions, port: number): Promise<Libp2p> {
  const lines = createLines(options.onLine ?? (() => {}))
  return createLibp2p({
    privateKey: privateKeyFromRaw(options.identity.rawPrivateKey),
    addresses: { listen: [`/ip4/0.0.0.0/tcp/${port}`, `/ip6/::/tcp/${port}`] },
    // A machine without IPv6 listens on IPv4 alone.
    transportManager: { faultTolerance: FaultTolerance.NO_FATAL },
    transports: [tcp()],
    connectionEncrypters: [meshNoise(options.secret, lines.secured)],
    streamMuxers: [
      lines.muxer({
        // Whoever is silent is pinged anyway.
        enableKeepAlive: false,
        streamOptions: {
          maxStreamWindowSize: STREAM_WINDOW_BYTES,
          maxReadBufferLength: READ_BUFFER_BYTES,
        },
      }),
    ],
    // Pings of its own, each over a stream of its own.
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: MAX_CONNECTIONS,
      inboundConnectionThreshold: MAX_INBOUND_PER_SECOND,
      maxIncomingPendingConnections: MAX_INBOUND_PER_SECOND,
      addressDialTimeout: ADDRESS_DIAL_TIMEOUT_MS,
      // The links know better when to try again.
      reconnectRetries: 0,
    },
    connectionGater: {
      denyDialMultiaddr: () => false,
      denyInboundEncryptedConnection: (peerId) => options.isRefused(peerId.toString()),
      denyOutboundEncryptedConnection: (peerId) => options.isRefused(peerId.toString()),
    },
  })
}

function portTaken(port: number): MeshError {
  const message = `The mesh cannot listen on port ${port}: another program does. Choose another with --mesh-port (0 takes any free one).`
  return new MeshError('invalid_settings', message)
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ host: '0.0.0.0', port, exclusive: true }, () =>
      server.close(() => resolve(true)),
    )
  })
}

function wrap(node: Libp2p): MeshNode {
  const selfId = node.peerId.toString()
  const byPeer = connectionsByPeer(node)
  const openConnections = (peerId: string): Connection[] => {
    const staying = selfId < peerId ? 'outbound' : 'inbound'
    return [...(byPeer.get(peerId) ?? [])]
      .filter(({ status }) => status === 'open')
      .sort(
        (a, b) =>
          Number(b.direction === staying) - Number(a.direction === staying) ||
          a.timeline.open - b.timeline.open,
      )
  }
  const port = portOf(node)
  if (port === undefined) {
    throw new MeshError('mesh_unavailable', 'The mesh found no address to listen on.')
  }
  return {
    port,
    streams: streamsOf(node, openConnections),
    connectedPeers: () => [...byPeer.keys()].filter((id) => openConnections(id).length > 0),
    connections: openConnections,
    async dial(at, peerId, signal) {
      const address = multiaddr(multiaddrOf(at) + (peerId === undefined ? '' : `/p2p/${peerId}`))
      return (await node.dial(address, { signal })).remotePeer.toString()
    },
    onConnection(listener) {
      node.addEventListener('connection:open', ({ detail }) => listener(detail))
      for (const peerId of byPeer.keys()) openConnections(peerId).forEach(listener)
    },
    onConnectionEnd(listener) {
      node.addEventListener('connection:close', ({ detail }) => listener(detail))
    },
    async stop() {
      for (const connection of node.getConnections()) connection.abort(new Error('stopping'))
      await node.stop()
    },
  }
}

/** To list them all and write out whose they are costs more than to follow them. */
function connectionsByPeer(node: Libp2p): ReadonlyMap<string, ReadonlySet<Connection>> {
  const byPeer = new Map<string, Set<Connection>>()
  const opened = (connection: Connection) => {
    const peerId = connection.remotePeer.toString()
    byPeer.set(peerId, (byPeer.get(peerId) ?? new Set()).add(connection))
  }
  const ended = (connection: Connection) => {
    const peerId = connection.remotePeer.toString()
    byPeer.get(peerId)?.delete(connection)
    if (byPeer.get(peerId)?.size === 0) byPeer.delete(peerId)
  }
  node.addEventListener('connection:open', ({ detail }) => opened(detail))
  node.addEventListener('connection:close', ({ detail }) => ended(detail))
  // It has listened for a moment.
  for (const connection of node.getConnections()) opened(connection)
  return byPeer
}

function multiaddrOf({ host, port }: HostPort): string {
  const family = { 4: 'ip4', 6: 'ip6' }[isIP(host)] ?? 'dns'
  return `/${family}/${host}/tcp/${port}`
}

/** @returns undefined where it listens on no address of IPv4. */
function portOf(node: Libp2p): number | undefined {
  const address = node.getMultiaddrs().find((one) => one.toString().startsWith('/ip4/'))
  const port = address && /\/tcp\/(\d+)/.exec(address.toString())?.[1]
  return port === undefined ? undefined : Number(port)
}

function streamsOf(node: Libp2p, openConnections: (peerId: string) => Connection[]): Streams {
  return {
    async open(peerId, protocolId, signal) {
      const connection = openConnections(peerId)[0]
      if (connection === undefined) {
        const message = `Peer ${peerId} is not connected.`
        throw new MeshError('peer_unreachable', message, { details: { peerId } })
      }
      try {
        return await connection.newStream(protocolId, { signal, negotiateFully: true })
      } catch (cause) {
        if ((cause as Error).name !== 'UnsupportedProtocolError') throw unreachable(peerId, cause)
        throw incompatible(peerId, protocolId, 'it does not know it', cause)
      }
    },
    async accept(protocolId, maxStreams, onStream) {
      await node.handle(
        protocolId,
        (stream, connection) => onStream(stream, connection.remotePeer.toString()),
        { maxInboundStreams: maxStreams },
      )
    },
  }
}

function unreachable(peerId: string, cause: unknown): MeshError {
  const message = `Peer ${peerId} cannot be reached: ${(cause as Error).message}. Check that its agent runs and that the network is up.`
  return new MeshError('peer_unreachable', message, { details: { peerId }, cause })
}
