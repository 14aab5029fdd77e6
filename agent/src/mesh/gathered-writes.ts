/**
 * What is sent over a connection in one turn of the event loop leaves in one piece: one encryption
 * and one system call for all of its frames, and one wake-up of whoever reads them.
 */
import type { MessageStream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'

/** So much does not wait for the end of the turn. */
const ENOUGH_BYTES = 64 * 1024

/** What is sent at once leaves in one system call: libp2p writes each part of a list by itself. */
export function sendInOnePiece(connection: MessageStream): void {
  const { send } = connection
  connection.send = (bytes) => send.call(connection, bytes.subarray())
}

/** @param carrier what carries the encrypted bytes; before it closes, what was gathered is sent. */
export function gatherWrites(encrypted: MessageStream, carrier: MessageStream): void {
  const { send } = encrypted
  const { close } = carrier
  let gathered = new Uint8ArrayList()
  let flushing: NodeJS.Immediate | undefined

  function flush(): void {
    clearImmediate(flushing)
    flushing = undefined
    const all = gathered
    gathered = new Uint8ArrayList()
    if (all.byteLength === 0 || encrypted.status !== 'open') return
    try {
      send.call(encrypted, all)
    } catch {
      // It has aborted by itself, which is what everybody on it hears.
    }
  }

  encrypted.send = (bytes) => {
    if (encrypted.status !== 'open') return send.call(encrypted, bytes)
    gathered.append(bytes)
    if (gathered.byteLength >= ENOUGH_BYTES) flush()
    else flushing ??= setImmediate(flush)
    return !encrypted.writableNeedsDrain
  }
  carrier.close = (options) => {
    flush()
    return close.call(carrier, options)
  }
}
