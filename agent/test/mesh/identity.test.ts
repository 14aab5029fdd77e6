/** The identity of a data folder, and that libp2p gives it the same name. */
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import t from 'tap'
import { isSignedBy, loadIdentity, renewIdentity } from '../../src/mesh/identity.ts'

t.test('it is made once and kept for its owner only', async (t) => {
  const dataDir = t.testdir()
  const first = loadIdentity(dataDir)
  const file = join(dataDir, 'mesh', 'identity.key')
  t.match(readFileSync(file, 'utf8'), /^-----BEGIN PRIVATE KEY-----/)
  t.equal(loadIdentity(dataDir).peerId, first.peerId)
  if (process.platform !== 'win32') {
    t.equal(statSync(file).mode & 0o777, 0o600)
    chmodSync(file, 0o644)
    loadIdentity(dataDir)
    t.equal(statSync(file).mode & 0o777, 0o600, 'a copy that others could read is closed to them')
  }
  t.not(renewIdentity(dataDir).peerId, first.peerId)
  t.not(loadIdentity(dataDir).peerId, first.peerId)
})

t.test('libp2p calls it the same', async (t) => {
  const { peerId, rawPrivateKey } = loadIdentity(t.testdir())
  t.equal(peerIdFromPrivateKey(privateKeyFromRaw(rawPrivateKey)).toString(), peerId)
})

t.test('it signs, and nobody else does', async (t) => {
  const identity = loadIdentity(t.testdir({ a: {} }))
  const other = renewIdentity(join(t.testdirName, 'a'))
  const data = Buffer.from('data')
  const signature = identity.sign(data)
  t.ok(isSignedBy(identity.publicKey, data, signature))
  t.notOk(isSignedBy(other.publicKey, data, signature))
  t.notOk(isSignedBy(identity.publicKey, Buffer.from('other'), signature))
  t.notOk(isSignedBy(Buffer.from('no key'), data, signature))
})

t.test('what is no Ed25519 key is said, and not replaced', async (t) => {
  const dataDir = t.testdir({ mesh: { 'identity.key': 'nonsense' } })
  t.throws(() => loadIdentity(dataDir), { code: 'malformed_file', message: /new-identity/ })
  t.equal(readFileSync(join(dataDir, 'mesh', 'identity.key'), 'utf8'), 'nonsense')
  writeFileSync(join(dataDir, 'mesh', 'identity.key'), '')
  t.throws(() => loadIdentity(dataDir), { code: 'malformed_file' })
})
