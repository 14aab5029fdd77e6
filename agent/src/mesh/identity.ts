/** Who this agent is: an Ed25519 key in the data folder, made at the first start. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { peerIdOf } from './peer-id.ts'
import { readSecret, writeSecret } from './secret-file.ts'

export interface Identity {
  readonly peerId: string
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** The seed of 32 bytes and the public key: libp2p's raw form. */
  readonly rawPrivateKey: Uint8Array
  sign(data: Uint8Array): Uint8Array
}

const identityFile = (dataDir: string) => join(dataDir, 'mesh', 'identity.key')

/**
 * The identity of a data folder (PKCS #8, PEM), made where there is none.
 * @throws MeshError `storage_failed`, `malformed_file`
 */
export function loadIdentity(dataDir: string): Identity {
  const path = identityFile(dataDir)
  const pem = readSecret(path)
  if (pem === undefined) return renewIdentity(dataDir)
  try {
    return identityOf(createPrivateKey(pem))
  } catch (cause) {
    const message = `${path} holds no Ed25519 key. Restore it from a backup, or give this machine a new identity: comfymesh mesh new-identity.`
    throw new MeshError('malformed_file', message, { cause })
  }
}

/** Gives a data folder another identity; who knew the old one meets a stranger. @throws MeshError `storage_failed` */
export function renewIdentity(dataDir: string): Identity {
  const { privateKey } = generateKeyPairSync('ed25519')
  writeSecret(identityFile(dataDir), privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
  return identityOf(privateKey)
}

function identityOf(key: KeyObject): Identity {
  const { crv, d, x } = key.export({ format: 'jwk' })
  if (crv !== 'Ed25519') throw new TypeError(`the key is of the curve ${crv}`)
  const publicKey = Buffer.from(x!, 'base64url')
  return {
    peerId: peerIdOf(publicKey),
    publicKey,
    rawPrivateKey: Buffer.concat([Buffer.from(d!, 'base64url'), publicKey]),
    sign: (data) => sign(null, data, key),
  }
}

/** Whether the owner of a public key (32 bytes) signed the data. */
export function isSignedBy(
  publicKey: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    const x = Buffer.from(publicKey).toString('base64url')
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    return verify(null, data, key, signature)
  } catch {
    // What is no key has signed nothing.
    return false
  }
}
