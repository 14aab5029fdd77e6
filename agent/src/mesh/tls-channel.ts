/** A channel over a TLS socket. */
import type { TLSSocket } from 'node:tls'
import { type Channel, createInbox, type Inbox, unlessSilent } from './channel.ts'

/** @param silenceMs so long nothing may come, or go, while somebody waits for it. */
export function tlsInbox(silenceMs: number, socket: () => TLSSocket): Inbox {
  return createInbox(
    { silenceMs },
    {
      onWanted: () => socket().resume(),
      onSilence: () => socket().destroy(new Error(`nothing moved for ${silenceMs} ms`)),
    },
  )
}

/** A socket that has shaken hands; its bytes go into the inbox already, or are put there from now on. */
export function tlsChannel(
  socket: TLSSocket,
  peerId: string,
  silenceMs: number,
  inbox?: Inbox,
): Channel {
  const arriving = inbox ?? tlsInbox(silenceMs, () => socket)
  socket.setNoDelay(true)
  if (inbox === undefined) {
    socket.on('data', (bytes) => {
      if (!arriving.take(bytes)) socket.pause()
    })
  }
  socket.on('error', (error) => arriving.fail(error))
  socket.on('end', () => arriving.fail(new Error('the peer ended the connection')))
  socket.on('close', () => arriving.fail(new Error('the connection was closed')))
  return {
    peerId,
    read: arriving.read,
    write(bytes) {
      const silent = () => socket.destroy(new Error(`nothing moved for ${silenceMs} ms`))
      return unlessSilent(write(socket, bytes), silenceMs, silent)
    },
    // Not end(): a socket that nobody reads any more never learns that the peer has ended too.
    close: () => socket.destroySoon(),
    destroy: () => void socket.destroy(),
  }
}

function write(socket: TLSSocket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('the connection was closed'))
    socket.once('close', onClose)
    // Until the system has taken it all: what waits in a socket is memory.
    socket.write(bytes, (error) => {
      socket.off('close', onClose)
      if (error == null) resolve()
      else reject(error)
    })
  })
}
