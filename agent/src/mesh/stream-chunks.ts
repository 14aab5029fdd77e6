/**
 * Reading and writing a libp2p stream with backpressure and honest ends. libp2p's own iterator
 * hangs on streams that ended early and has no backpressure, and its byte streams abort when the
 * reader is slower than the writer; everything in this folder that reads a stream reads it here.
 */
import type { Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

/** Above this the other side is asked to wait, well below what its window lets through. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024
const LOW_WATER_BYTES = 1024 * 1024

/**
 * What arrives on a stream, in order. Listens from this call on, so nothing is missed however late
 * the first chunk is asked for. Ends where the other side stopped writing.
 * @throws Error (from the iteration) when the stream was reset or aborted before its end.
 */
export function readChunks(stream: Stream): AsyncGenerator<Uint8Array> {
  const queue: (Uint8Array | Uint8ArrayList)[] = []
  let queuedBytes = 0
  let failure: Error | undefined
  let wake = () => {}
  const listeners = {
    message: ({ data }: { data: Uint8Array | Uint8ArrayList }) => {
      queue.push(data)
      queuedBytes += data.byteLength
      if (queuedBytes >= HIGH_WATER_BYTES && stream.readStatus === 'readable') stream.pause()
      wake()
    },
    close: ({ error }: { error?: Error }) => {
      failure ??= error
      wake()
    },
    remoteCloseWrite: () => wake(),
    end: () => wake(),
  }
  for (const [name, listener] of Object.entries(listeners)) {
    stream.addEventListener(name as 'message', listener as never)
  }
  const isAtEnd = () => stream.remoteWriteStatus !== 'writable' && stream.readBufferLength === 0

  async function* iterate(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        for (let data = queue.shift(); data !== undefined; data = queue.shift()) {
          queuedBytes -= data.byteLength
          if (queuedBytes <= LOW_WATER_BYTES && stream.readStatus === 'paused') stream.resume()
          yield data.subarray()
        }
        if (failure !== undefined) throw failure
        if (stream.status === 'reset' || stream.status === 'aborted') {
          throw new Error(`The stream was ${stream.status}.`)
        }
        if (isAtEnd()) return
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      for (const [name, listener] of Object.entries(listeners)) {
        stream.removeEventListener(name as 'message', listener as never)
      }
    }
  }
  return iterate()
}

/**
 * Hands bytes to a stream and waits while it has enough.
 * @throws Error when the stream is closed or the signal aborts.
 */
export async function writeChunk(
  stream: Stream,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted()
  // Not onDrain(): its promise is made once and never again.
  if (!stream.send(bytes)) await drained(stream, signal)
}

function drained(stream: Stream, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onDrain = () => end(resolve)
    const onClose = ({ error }: { error?: Error }) =>
      end(() => reject(error ?? new Error('The stream was closed.')))
    const onAbort = () => end(() => reject(signal!.reason))
    function end(settle: () => void) {
      stream.removeEventListener('drain', onDrain)
      stream.removeEventListener('close', onClose)
      signal?.removeEventListener('abort', onAbort)
      settle()
    }
    stream.addEventListener('drain', onDrain)
    stream.addEventListener('close', onClose)
    signal?.addEventListener('abort', onAbort)
  })
}
