/**
 * Streams that are opened ahead: to agree on a protocol takes two agents several milliseconds and
 * a round trip, which whoever asked one thing need not wait for again when it asks the next.
 */
import type { Stream } from '@libp2p/interface'
import type { Streams } from './rpc.ts'

/** Whoever accepts a stream waits for its request for 10 s (rpc.ts). */
const KEPT_MS = 8000
/** When a stage has ended, both agents have more urgent things to do with what came of it. */
const REST_MS = 10

/**
 * A moment after a stream of one of these protocols has ended, the next to the same peer is opened.
 * @param keptMs how long it is kept for somebody to take it.
 */
export function withSpareStreams(
  streams: Streams,
  protocolIds: ReadonlySet<string>,
  keptMs = KEPT_MS,
): Streams {
  /** At most one for each peer and protocol; undefined while it is being opened. */
  const spares = new Map<string, Stream | undefined>()

  async function openSpare(peerId: string, protocolId: string, key: string): Promise<void> {
    if (spares.has(key)) return
    spares.set(key, undefined)
    try {
      keep(key, await streams.open(peerId, protocolId, AbortSignal.timeout(keptMs)))
    } catch {
      // Whoever needs one hears why there is none.
      spares.delete(key)
    }
  }

  function keep(key: string, stream: Stream): void {
    spares.set(key, stream)
    const isKept = () => spares.get(key) === stream
    stream.addEventListener('close', () => isKept() && spares.delete(key))
    setTimeout(() => isKept() && stream.abort(new Error('nobody took it')), keptMs).unref()
  }

  function takeSpare(key: string): Stream | undefined {
    const stream = spares.get(key)
    if (stream === undefined) return undefined
    spares.delete(key)
    return stream.status === 'open' && stream.remoteWriteStatus === 'writable' ? stream : undefined
  }

  return {
    accept: streams.accept,
    async open(peerId, protocolId, signal) {
      if (!protocolIds.has(protocolId)) return streams.open(peerId, protocolId, signal)
      const key = `${peerId} ${protocolId}`
      const stream = takeSpare(key) ?? (await streams.open(peerId, protocolId, signal))
      const openNext = () => void openSpare(peerId, protocolId, key)
      stream.addEventListener('close', () => setTimeout(openNext, REST_MS))
      return stream
    },
  }
}
