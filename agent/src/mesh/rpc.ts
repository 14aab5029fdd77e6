/**
 * Questions and answers over streams, by the rows of protocols.ts: checked by schema on both
 * sides, limited in size, number and rate, cancelled by closing the stream. Streams come from
 * whoever has them, so tests need no network.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Stream } from '@libp2p/interface'
import { z } from 'zod'
import { readMessages, writeMessage } from './messages.ts'
import type { Protocol } from './protocols.ts'
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

export function createRpc(
  options: { readonly now: () => number },
  modules: { readonly streams: Streams; readonly warn: (message: string, error?: unknown) => void },
): Rpc {
  const { streams } = modules

  async function* ask<Q, A>(
    peerId: string,
    protocol: Protocol<Q, A>,
    request: Q,
    signal: AbortSignal,
  ): AsyncGenerator<A> {
    const stream = await streams.open(peerId, protocol.id, signal)
    const abort = () => stream.abort(new Error('not wanted any more'))
    signal.addEventListener('abort', abort)
    let isComplete = false
    try {
      signal.throwIfAborted()
      const messages = readMessages(stream, protocol.maxReplyBytes + ENVELOPE_BYTES)
      await writeMessage(stream, request, signal)
      for await (const message of messages) {
        const envelope = envelopeSchema.parse(message)
        if ('end' in envelope) {
          isComplete = true
          return
        }
        if ('error' in envelope) throw MeshError.fromWire(envelope.error)
        yield protocol.reply.parse(envelope.value)
      }
      throw new Error('the answer has no end')
    } catch (thrown) {
      throw asMeshError(thrown, peerId, protocol.id, signal)
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
      if (answer === undefined) throw incompatible(peerId, protocol.id, 'it answered nothing')
      return answer.value as never
    },
    stream: (peerId, protocol, request, { signal } = {}) =>
      ask(peerId, protocol, request, signal ?? new AbortController().signal),
    async handle(protocol, handler) {
      const quota = createQuota({ perMinute: protocol.perMinute, now: options.now })
      await streams.accept(protocol.id, protocol.maxStreams, (stream, peerId) => {
        answer(stream, peerId, protocol, handler, quota.take).catch((error: unknown) => {
          modules.warn(`${protocol.id} for peer ${peerId} failed`, error)
          stream.abort(error instanceof Error ? error : new Error(String(error)))
        })
      })
    },
  }
}

async function answer<Q, A>(
  stream: Stream,
  peerId: string,
  protocol: Protocol<Q, A>,
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
      await writeMessage(stream, { value: await result }, gone.signal)
    } else {
      for await (const value of result as AsyncIterable<A>) {
        await writeMessage(stream, { value }, gone.signal)
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

function asMeshError(
  thrown: unknown,
  peerId: string,
  protocolId: string,
  signal: AbortSignal,
): MeshError {
  if (thrown instanceof MeshError) return thrown
  if (thrown instanceof z.ZodError || thrown instanceof SyntaxError) {
    return incompatible(peerId, protocolId, 'its answer cannot be understood', thrown)
  }
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

export function incompatible(
  peerId: string,
  protocolId: string,
  why: string,
  cause?: unknown,
): MeshError {
  const message = `Peer ${peerId} does not speak ${protocolId} as this comfymesh does: ${why}. Bring both to the same release.`
  return new MeshError('peer_incompatible', message, { details: { peerId }, cause })
}
