import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  isSameToken,
  openAccessToken,
  readAccessToken,
  rotateAccessToken,
  TOKEN_SHAPE,
} from '../../src/store/access-token.ts'

t.test('a token is made once and kept', async (t) => {
  const folder = join(t.testdir(), 'data')
  t.equal(readAccessToken(folder), undefined)
  const token = openAccessToken(folder)()
  t.match(token, TOKEN_SHAPE)
  t.ok(token.length >= 43, '256 bits')
  t.equal(openAccessToken(folder)(), token)
  t.not(openAccessToken(join(folder, 'other'))(), token)
})

t.test('only its owner can read it', { skip: process.platform === 'win32' }, async (t) => {
  const folder = t.testdir()
  openAccessToken(folder)
  t.equal(statSync(join(folder, 'token')).mode & 0o777, 0o600)
})

t.test('a rotated token counts at once', async (t) => {
  const folder = t.testdir()
  const current = openAccessToken(folder)
  const before = current()
  const after = rotateAccessToken(folder)
  t.not(after, before)
  t.equal(current(), after)
})

t.test('a damaged file opens nothing', async (t) => {
  const folder = t.testdir({ token: 'short' })
  t.throws(() => openAccessToken(folder), { code: 'invalid_settings', message: /--rotate/ })
  const fresh = rotateAccessToken(folder)
  const current = openAccessToken(folder)
  writeFileSync(join(folder, 'token'), '')
  t.equal(current(), fresh, 'the last one counts while the file holds none')
})

const readsAll = process.platform === 'win32' || process.getuid?.() === 0

t.test('a folder that cannot be written', { skip: readsAll }, async (t) => {
  const folder = join(t.testdir(), 'data')
  mkdirSync(folder)
  chmodSync(folder, 0o500)
  t.throws(() => openAccessToken(folder), { code: 'storage_failed' })
  chmodSync(folder, 0o700)
})

t.test('tokens are compared whole', async (t) => {
  t.ok(isSameToken('abc', 'abc'))
  for (const other of ['', 'ab', 'abcd', 'abd', 'ABC']) t.notOk(isSameToken(other, 'abc'), other)
})
