/** Messages that a client is sent in one turn of the event loop leave in one system call. */
import type { Writable } from 'node:stream'

interface Sender {
  send(...args: never[]): void
}

/** @param carrier the connection below the WebSocket. */
export function gatherSends(socket: Sender, carrier: Pick<Writable, 'cork' | 'uncork'>): void {
  const send = socket.send.bind(socket)
  let isGathering = false
  const release = () => {
    isGathering = false
    carrier.uncork()
  }
  socket.send = (...args) => {
    if (!isGathering) {
      isGathering = true
      carrier.cork()
      setImmediate(release)
    }
    send(...args)
  }
}
