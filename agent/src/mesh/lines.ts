/**
 * What carries a connection, below its streams: whatever arrives there is a sign of life, and a ping
 * is the cheapest way to get one.
 */
import { type YamuxMuxerInit, yamux } from '@chainsafe/libp2p-yamux'
import type { MessageStream, StreamMuxerFactory } from '@libp2p/interface'

export interface Line {
  readonly peerId: string
  /** Resolves when the process at the other end has answered. @throws Error when the line is closed. */
  ping(): Promise<unknown>
  /** Ends the connection and all of its streams. */
  abort(error: Error): void
  onHeard(listener: () => void): void
  onEnd(listener: () => void): void
}

export interface Lines {
  /** Notes who is at the other end of an encrypted channel. */
  secured(channel: MessageStream, peerId: string): void
  /** Yamux, as libp2p takes it. */
  muxer(init: YamuxMuxerInit): () => StreamMuxerFactory
}

/** @param onLine told of each line before anything arrives over it. */
export function createLines(onLine: (line: Line) => void): Lines {
  const peerIds = new WeakMap<MessageStream, string>()
  return {
    secured: (channel, peerId) => void peerIds.set(channel, peerId),
    muxer: (init) => () => {
      const factory = yamux(init)()
      const { protocol } = factory
      return {
        protocol,
        createStreamMuxer(channel) {
          const muxer = factory.createStreamMuxer(channel)
          onLine({
            peerId: peerIds.get(channel)!,
            ping: () => muxer.ping(),
            abort(error) {
              muxer.abort(error)
              channel.abort(error)
            },
            onHeard: (listener) => channel.addEventListener('message', listener),
            onEnd: (listener) => channel.addEventListener('close', listener),
          })
          return muxer
        },
      }
    },
  }
}
