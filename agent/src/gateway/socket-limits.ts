/** What one WebSocket client, and all of them together, may ask of the agent. */
import type { WebSocket } from 'ws'

/** All that a client ever says is which features it has. */
export const MAX_SOCKET_MESSAGE_BYTES = 1024 * 1024

/** Each gets every status message; a browser tab is one. */
export const MAX_SOCKETS = 500

/** Clients say one thing and then, if anything, ping now and then. */
const MAX_MESSAGES = 200
const WINDOW_MS = 10_000

/** Lets a client go that does not stop talking: reading and answering its pings would cost more. */
export function limitMessages(
  socket: Pick<WebSocket, 'on' | 'terminate'>,
  now: () => number = performance.now.bind(performance),
): void {
  let windowEndsMs = 0
  let count = 0
  const heard = () => {
    if (now() > windowEndsMs) {
      windowEndsMs = now() + WINDOW_MS
      count = 0
    }
    count += 1
    // Not closed with a reason: until the client heard of it, all that it says would be read.
    if (count > MAX_MESSAGES) socket.terminate()
  }
  socket.on('message', heard)
  socket.on('ping', heard)
}
