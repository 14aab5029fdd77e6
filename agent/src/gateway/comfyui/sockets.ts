/**
 * ComfyUI's WebSocket: who is connected, who gets which message, and how it lies
 * on the wire. What is said about a job is for messages.ts, and about several that
 * run at once for client-stream.ts.
 */
import { randomUUID } from 'node:crypto'
import type { JobState } from '@comfymesh/protocol/job'
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { JobRunner } from '../../execution/job-runner.ts'
import { type ClientStream, follow, idleStream } from './client-stream.ts'
import { type Message, statusMessage } from './messages.ts'
import type { ComfyuiFeatures } from './system-routes.ts'

/** What is used of a WebSocket of the `ws` package. */
export interface ClientSocket {
  /** Bytes that the client has not taken yet. */
  readonly bufferedAmount: number
  send(data: string | Uint8Array): void
  close(code: number): void
  terminate(): void
  on(event: 'close' | 'error', listener: () => void): unknown
  once(event: 'message', listener: (data: unknown, isBinary: boolean) => void): unknown
}

export interface Sockets {
  /** Takes over a connection; `clientId` as the client gave it, if it did. */
  attach(socket: ClientSocket, clientId: string | undefined): void
  has(clientId: string): boolean
  /** Sends a message to one client. @returns false where it is not connected. */
  tell(clientId: string, type: string, data: JsonObject): boolean
  /** Ends all connections and stops following the job runner. */
  close(): void
}

interface Connection {
  readonly socket: ClientSocket
  /** What the client says it can do; only the official frontend says anything. */
  flags?: { readonly [flag: string]: JsonValue }
}

/**
 * The frontend copes with a job that is told in the middle of another, and people like to see
 * its pictures at once. Programs are told of one job after the other, as ComfyUI runs them:
 * @saintno/comfyui-sdk gives a job up when it hears of the success of another one.
 */
const PATIENCE_OF_PROGRAMS = 100

/** A client that reads too slowly misses previews first, and is let go when it reads nothing. */
const MAX_BUFFERED_FOR_PREVIEW_BYTES = 4 * 1024 * 1024
const MAX_BUFFERED_BYTES = 64 * 1024 * 1024

/** How long a client that does not answer, because it sleeps or hangs, holds up our end. */
const CLOSE_TIMEOUT_MS = 1000

export interface SocketModules {
  readonly runner: JobRunner
  /** What a client that says what it knows hears of this server. */
  readonly features: ComfyuiFeatures
}

export function createSockets(modules: SocketModules): Sockets {
  const { runner, features } = modules
  /** By client id; as in ComfyUI a client that connects anew takes its own place. */
  const connections = new Map<string, Connection>()
  /** All that are open, those included whose place was taken. */
  const sockets = new Set<ClientSocket>()
  /** Of clients whose jobs run, connected or not; jobs that name no client are a stream too. */
  const streams = new Map<string | undefined, ClientStream>()
  const remaining = () => runner.remaining()

  const unsubscribe = runner.subscribe((update) => {
    const clientId = clientOf(update.state)
    const before = streams.get(clientId) ?? idleStream
    const { stream, messages } = follow(before, update, remaining(), patienceOf(clientId))
    if (stream.shown === undefined) streams.delete(clientId)
    else streams.set(clientId, stream)
    for (const message of messages) {
      for (const connection of audienceOf(message, clientId)) deliver(connection, message)
    }
  })

  function patienceOf(clientId: string | undefined): number {
    const connection = clientId === undefined ? undefined : connections.get(clientId)
    // Who is not there misses what is told, sooner or later.
    return connection === undefined || connection.flags !== undefined ? 0 : PATIENCE_OF_PROGRAMS
  }

  function audienceOf(message: Message, clientId: string | undefined): Iterable<Connection> {
    if (message.audience === 'everybody') return connections.values()
    if (clientId !== undefined) {
      const connection = connections.get(clientId)
      return connection === undefined ? [] : [connection]
    }
    return message.audience === 'client-or-everybody' ? bystanders() : []
  }

  /** Those that see a job of their own are spared the progress of nobody's. */
  function* bystanders(): Iterable<Connection> {
    for (const [id, connection] of connections) if (!streams.has(id)) yield connection
  }

  function greet(connection: Connection, id: string): void {
    const status = statusMessage(remaining())
    if (status.kind === 'text') sendText(connection.socket, 'status', { ...status.data, sid: id })
    const node = streams
      .get(id)
      ?.shown?.nodes.findLast(({ status }) => status === 'running')?.nodeId
    if (node !== undefined) sendText(connection.socket, 'executing', { node })
  }

  return {
    attach(socket, clientId) {
      const id = clientId || randomUUID().replaceAll('-', '')
      const connection: Connection = { socket }
      connections.set(id, connection)
      sockets.add(socket)
      socket.on('error', () => socket.terminate())
      socket.on('close', () => {
        sockets.delete(socket)
        if (connections.get(id) === connection) connections.delete(id)
      })
      // Only the first message is ever read.
      socket.once('message', (data, isBinary) => {
        const flags = isBinary ? undefined : flagsOf(String(data))
        if (flags === undefined) return
        connection.flags = flags
        sendText(socket, 'feature_flags', features)
      })
      greet(connection, id)
    },
    has: (clientId) => connections.has(clientId),
    tell(clientId, type, data) {
      const connection = connections.get(clientId)
      if (connection === undefined) return false
      deliver(connection, { kind: 'text', audience: 'client', type, data })
      return true
    },
    close() {
      unsubscribe()
      connections.clear()
      for (const socket of sockets) socket.close(1001)
      setTimeout(() => {
        for (const socket of sockets) socket.terminate()
      }, CLOSE_TIMEOUT_MS).unref()
    },
  }
}

/** The client that a job's messages are for. */
function clientOf(state: JobState): string | undefined {
  const id = state.request.extraData.client_id
  return typeof id === 'string' ? id : undefined
}

function flagsOf(text: string): { [flag: string]: JsonValue } | undefined {
  try {
    const message = parseJson(text) as {
      type?: unknown
      data?: { [flag: string]: JsonValue }
    } | null
    return message?.type === 'feature_flags' ? (message.data ?? {}) : undefined
  } catch {
    return undefined
  }
}

function deliver({ socket, flags }: Connection, message: Message): void {
  const waitingBytes = socket.bufferedAmount
  if (waitingBytes > MAX_BUFFERED_BYTES) socket.terminate()
  else if (message.kind === 'text') sendText(socket, message.type, message.data)
  // Lossless ones are what SaveImageWebsocket hands out: results, which nobody may miss.
  else if (message.mediaType === 'image/png' || waitingBytes <= MAX_BUFFERED_FOR_PREVIEW_BYTES)
    socket.send(
      flags?.supports_preview_metadata === true
        ? previewWithMetadata(message)
        : plainPreview(message),
    )
}

function sendText(socket: ClientSocket, type: string, data: unknown): void {
  socket.send(stringifyJson({ type, data }))
}

type Preview = Extract<Message, { kind: 'preview' }>

/** Event 1: u32 event, u32 format (1 JPEG, 2 PNG), the picture; big-endian. */
function plainPreview({ mediaType, bytes }: Preview): Buffer {
  return Buffer.concat([u32(1), u32(mediaType === 'image/jpeg' ? 1 : 2), bytes])
}

/** Event 4: u32 event, u32 length of the JSON, the JSON, the picture; big-endian. */
function previewWithMetadata({ metadata, bytes }: Preview): Buffer {
  const described = Buffer.from(JSON.stringify(metadata))
  return Buffer.concat([u32(4), u32(described.length), described, bytes])
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
