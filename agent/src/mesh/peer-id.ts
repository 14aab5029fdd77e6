/** Peer ids as libp2p writes them, without loading libp2p: they are needed before the mesh starts. */

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/**
 * The identity multihash (0x00, length 36) of libp2p's protobuf of an Ed25519 public key:
 * field 1 (type) = 1, field 2 (data) = 32 bytes.
 * https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
 */
const ED25519_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)

/** @param publicKey the 32 bytes of an Ed25519 public key. */
export function peerIdOf(publicKey: Uint8Array): string {
  return base58(Buffer.concat([ED25519_PREFIX, publicKey]))
}

/** Bitcoin's base 58; each leading zero byte is a leading `1`. */
function base58(bytes: Buffer): string {
  const zeros = bytes.findIndex((byte) => byte !== 0)
  let rest = BigInt(`0x${bytes.toString('hex')}`)
  let text = ''
  for (; rest > 0n; rest /= 58n) text = BASE58[Number(rest % 58n)] + text
  return '1'.repeat(zeros) + text
}
