/** Server-sent events to one client: https://html.spec.whatwg.org/multipage/server-sent-events.html */
import { Readable } from 'node:stream'
import { stringifyJson } from '@comfymesh/protocol/json'
import type { Answer } from '../route.ts'

export interface ServerSentEvent {
  readonly name: string
  readonly data: unknown
  /** What a client sends back as Last-Event-ID when it connects again. */
  readonly id?: string
}

export interface EventStream {
  readonly answer: Answer
  tell(event: ServerSentEvent): void
  /** Ends it when what was told has been read. */
  end(): void
  /** Ends it at once. */
  close(): void
}

/** Proxies close connections over which nothing is said for a minute or so. */
const KEEP_ALIVE_MS = 15_000

/** A client that lets more than this wait does not read; it may connect again and catch up. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024

/** @param onClose is called once, whoever ends the stream. */
export function openEventStream(onClose: () => void): EventStream {
  const stream = new Readable({ read() {} })
  const keepAlive = setInterval(() => push(':\n\n'), KEEP_ALIVE_MS).unref()
  let hasEnded = false
  function push(text: string): void {
    if (hasEnded || stream.destroyed) return
    stream.push(text)
    if (stream.readableLength > MAX_WAITING_BYTES) stream.destroy()
  }
  stream.once('close', () => {
    clearInterval(keepAlive)
    onClose()
  })
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }
  return {
    answer: { status: 200, headers, body: stream },
    tell: (event) => push(written(event)),
    end() {
      hasEnded = true
      stream.push(null)
    },
    close: () => stream.destroy(),
  }
}

function written({ name, data, id }: ServerSentEvent): string {
  const idLine = id === undefined ? '' : `id: ${id}\n`
  return `event: ${name}\n${idLine}data: ${stringifyJson(data)}\n\n`
}
