/**
 * Questions and answers over streams, by the rows of protocols.ts: checked by schema on both
 * sides, limited in size, number and rate, cancelled by closing the stream. Streams come from
 * whoever has them, so tests need no network.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Stream } from '@libp2p/interface'
import { z } from 'zod'
import { version } from '../base/version.ts'
import { readMessages, writeMessage } from './messages.ts'
import type { FormerProtocol, Protocol } from './protocols.ts'
import { createQuota } from './quota.ts'

/** Where streams come from; node.ts has those of libp2p. */
export interface Streams {
  /** @throws MeshError `peer_unreachable`, `peer_incompatible` */
  open(peerId: string, protocolId: string, signal: AbortSignal): Promise<Stream>
  accept(
    protocolId: string,
    maxStreams: number,
    onStream: (stream: Stream, peerId: string) => void,
  ): Promise<void>
}

export interface Asking {
  readonly peerId: string
  /** Aborts when whoever asked has gone. */
  readonly signal: AbortSignal
}

export interface Rpc {
  /**
   * Asks a peer and waits for its one answer.
   * @throws MeshError as the peer says it; `peer_unreachable`, `peer_incompatible`.
   */
  call<Q, A>(
    peerId: string,
    protocol: Protocol<Q, A>,
    request: Q,
    options?: { readonly signal?: AbortSignal },
  ): Promise<A>
  /**
   * Asks a peer and passes its answers on, until it says that there are no more. Ending the
   * iteration tells the peer.
   * @throws MeshError (from the iteration) as `call`.
   */
  stream<Q, A>(
    peerId: string,
    protocol: Protocol<Q, A>,
    request: Q,
    options?: { readonly signal?: AbortSignal },
  ): AsyncGenerator<A>
  /** Answers with one value where the row says `one`, with an iteration where it says `many`. */
  handle<Q, A>(
    protocol: Protocol<Q, A>,
    handler: (request: Q, asking: Asking) => A | Promise<A> | AsyncIterable<A>,
  ): Promise<void>
}

/** A stream that was reset reads as a clean end, so the end is a message of its own. */
const envelopeSchema = z.union([
  z.object({ value: z.unknown() }),
  z.object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      details: z.record(z.string(), z.unknown()).default({}),
    }),
  }),
  z.object({ end: z.literal(true) }),
])

/** What the envelope adds to a reply. */
const ENVELOPE_BYTES = 1024

/** A row as it is spoken: today's, or the former one. */
interface Spoken<Q, A> {
  readonly row: Protocol<Q, A>
  readonly say: FormerProtocol<Q, A>['say']
}

const asItIs = { request: (request: unknown) => request, reply: (reply: unknown) => reply }

/** The newest first. */
function spokenRows<Q, A>(protocol: Protocol<Q, A>): Spoken<Q, A>[] {
  const { former } = protocol
  const today = { row: protocol, say: asItIs }
  return former === undefined ? [today] : [today, { row: former, say: former.say }]
}

export interface RpcModules {
  readonly streams: Streams
  /** The release that a peer runs, as far as it said so. */
  readonly releaseOf: (peerId: string) => string | undefined
  readonly warn: (message: string, error?: unknown) => void
}

export function createRpc(options: { readonly now: () => number }, modules: RpcModules): Rpc {
  const { streams } = modules

  /** By the newest row that the peer knows. */
  async function open<Q, A>(
    peerId: string,
    protocol: Protocol<Q, A>,
    signal: AbortSignal,
  ): Promise<{ stream: Stream; spoken: Spoken<Q, A> }> {
    let unknown: unknown
    for (const spoken of spokenRows(protocol)) {
      try {
        return { stream: await streams.open(peerId, spoken.row.id, signal), spoken }
      } catch (error) {
        if (!(error instanceof MeshError) || error.code !== 'peer_incompatible') throw error
        unknown = error
      }
    }
    throw misunderstood(peerId, protocol.id, 'it does not know it', unknown)
  }

  function misunderstood(peerId: string, protocolId: string, why: string, cause?: unknown) {
    return incompatible(peerId, protocolId, why, cause, modules.releaseOf(peerId))
  }

  async function* ask<Q, A>(
    peerId: string,
    protocol: Protocol<Q, A>,
    request: Q,
    signal: AbortSignal,
  ): AsyncGenerator<A> {
    const { stream, spoken } = await open(peerId, protocol, signal)
    const { row, say } = spoken
    const abort = () => stream.abort(new Error('not wanted any more'))
    signal.addEventListener('abort', abort)
    let isComplete = false
    try {
      signal.throwIfAborted()
      const messages = readMessages(stream, row.maxReplyBytes + ENVELOPE_BYTES)
      await writeMessage(stream, say.request(request), signal)
      for await (const message of messages) {
        const envelope = envelopeSchema.parse(message)
        if ('end' in envelope) {
          isComplete = true
          return
        }
        if ('error' in envelope) throw MeshError.fromWire(envelope.error)
        yield row.reply.parse(envelope.value)
      }
      throw new Error('the answer has no end')
    } catch (thrown) {
      if (thrown instanceof z.ZodError || thrown instanceof SyntaxError) {
        throw misunderstood(peerId, row.id, 'its answer cannot be understood', thrown)
      }
      throw asMeshError(thrown, peerId, signal)
    } finally {
      signal.removeEventListener('abort', abort)
      if (isComplete) stream.close().catch(() => stream.abort(new Error('closing failed')))
      else abort()
    }
  }

  return {
    async call(peerId, protocol, request, { signal } = {}) {
      const timeout = AbortSignal.timeout(protocol.timeoutMs)
      const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout])
      let answer: { value: unknown } | undefined
      for await (const value of ask(peerId, protocol, request, either)) answer ??= { value }
      if (answer === undefined) throw misunderstood(peerId, protocol.id, 'it answered nothing')
      return answer.value as never
    },
    stream: (peerId, protocol, request, { signal } = {}) =>
      ask(peerId, protocol, request, signal ?? new AbortController().signal),
    async handle(protocol, handler) {
      const quota = createQuota({ perMinute: protocol.perMinute, now: options.now })
      for (const spoken of spokenRows(protocol)) {
        const { id, maxStreams } = spoken.row
        await streams.accept(id, maxStreams, (stream, peerId) => {
          answer(stream, peerId, spoken, handler, quota.take).catch((error: unknown) => {
            modules.warn(`${id} for peer ${peerId} failed`, error)
            stream.abort(error instanceof Error ? error : new Error(String(error)))
          })
        })
      }
    },
  }
}

async function answer<Q, A>(
  stream: Stream,
  peerId: string,
  { row: protocol, say }: Spoken<Q, A>,
  handler: (request: Q, asking: Asking) => A | Promise<A> | AsyncIterable<A>,
  takeQuota: (peerId: string) => number,
): Promise<void> {
  // Before anything else: bytes that arrive while nobody listens are lost.
  const messages = readMessages(stream, protocol.maxRequestBytes)
  const gone = new AbortController()
  stream.addEventListener('close', () => gone.abort(new Error('whoever asked has gone')))
  try {
    const request = await firstRequest(stream, messages, protocol, peerId, takeQuota)
    const result = handler(request, { peerId, signal: gone.signal })
    if (protocol.replies === 'one') {
      const value = say.reply((await result) as A)
      await writeMessage(stream, { value }, gone.signal)
    } else {
      for await (const one of result as AsyncIterable<A>) {
        const value = say.reply(one)
        if (value !== undefined) await writeMessage(stream, { value }, gone.signal)
      }
    }
    await writeMessage(stream, { end: true }, gone.signal)
  } catch (thrown) {
    if (gone.signal.aborted) return
    const report = MeshError.from(thrown).toReport()
    await writeMessage(stream, { error: report }, gone.signal)
    if (report.code === 'internal') throw thrown
  }
  await stream.close()
}

/** A peer that opens a stream and says nothing holds one of its few. */
const REQUEST_TIMEOUT_MS = 10_000

async function firstRequest<Q, A>(
  stream: Stream,
  messages: AsyncGenerator<unknown>,
  protocol: Protocol<Q, A>,
  peerId: string,
  takeQuota: (peerId: string) => number,
): Promise<Q> {
  const timer = setTimeout(() => stream.abort(new Error('no request came')), REQUEST_TIMEOUT_MS)
  try {
    const retryAfterMs = takeQuota(peerId)
    if (retryAfterMs > 0) {
      const message = `Too many requests of ${protocol.id}; at most ${protocol.perMinute} a minute.`
      throw new MeshError('busy', message, { details: { retryAfterMs } })
    }
    const { value, done } = await messages.next()
    const parsed = protocol.request.safeParse(value)
    if (done || !parsed.success) {
      const why = parsed.error?.issues[0]?.message ?? 'it is empty'
      throw new MeshError(
        'peer_incompatible',
        `The request of ${protocol.id} is malformed: ${why}.`,
      )
    }
    return parsed.data
  } finally {
    clearTimeout(timer)
  }
}

function asMeshError(thrown: unknown, peerId: string, signal: AbortSignal): MeshError {
  if (thrown instanceof MeshError) return thrown
  const isTimeout = (signal.reason as Error | undefined)?.name === 'TimeoutError'
  if (signal.aborted && !isTimeout) {
    return new MeshError('interrupted', `The request to peer ${peerId} was cancelled.`, {
      cause: thrown,
    })
  }
  const why = isTimeout ? 'it does not answer' : (thrown as Error).message
  const message = `Peer ${peerId} cannot be reached: ${why}. Check that its agent runs and that the network is up.`
  return new MeshError('peer_unreachable', message, { details: { peerId }, cause: thrown })
}

/** @param theirs the release that the peer runs, where it is known. */
export function incompatible(
  peerId: string,
  protocolId: string,
  why: string,
  cause?: unknown,
  theirs?: string,
): MeshError {
  const releases = `comfymesh ${theirs ?? 'of another release'} there, ${version} here`
  const message = `Peer ${peerId} does not speak ${protocolId} as this agent does: ${why} (${releases}). Bring both to the same release.`
  return new MeshError('peer_incompatible', message, { details: { peerId }, cause })
}
