/**
 * The handshake of a mesh: Noise with the mesh's secret in its prologue, so that whoever has
 * another secret fails before any protocol is spoken. The secret may change while connections live.
 */
import { type NoiseComponents, noise } from '@chainsafe/libp2p-noise'
import type { ConnectionEncrypter, MessageStream } from '@libp2p/interface'
import { gatherWrites, sendInOnePiece } from './gathered-writes.ts'
import { keyFrom } from './membership.ts'

/**
 * @param secret the one that counts at the moment of a handshake.
 * @param onSecured told of each channel and who is at its other end.
 */
export function meshNoise(
  secret: () => string,
  onSecured: (channel: MessageStream, peerId: string) => void,
): (components: NoiseComponents) => ConnectionEncrypter {
  return (components) => {
    let made: { readonly secret: string; readonly encrypter: ConnectionEncrypter } | undefined
    // Kept between handshakes: making one computes a key.
    const encrypter = () => {
      const now = secret()
      if (made?.secret !== now) {
        const prologueBytes = keyFrom(now, 'noise')
        made = { secret: now, encrypter: noise({ prologueBytes })(components) }
      }
      return made.encrypter
    }
    const secure =
      (direction: 'secureInbound' | 'secureOutbound'): ConnectionEncrypter[typeof direction] =>
      async (connection, options) => {
        sendInOnePiece(connection)
        const secured = await encrypter()[direction](connection, options)
        gatherWrites(secured.connection, connection)
        onSecured(secured.connection, secured.remotePeer.toString())
        return secured
      }
    return {
      protocol: encrypter().protocol,
      secureInbound: secure('secureInbound'),
      secureOutbound: secure('secureOutbound'),
    }
  }
}
