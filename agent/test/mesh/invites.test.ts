/** Invites are counted on disk, expire, and say why they do not count. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openInvites } from '../../src/mesh/invites.ts'

t.test('an invite serves the stated number of peers, each as often as it likes', async (t) => {
  const invites = openInvites(t.testdir(), () => 0)
  const { id } = invites.issue({ uses: 2, expiresAtMs: 10 })
  invites.redeem(id, 'a')
  invites.redeem(id, 'a')
  invites.redeem(id, 'b')
  t.throws(() => invites.redeem(id, 'c'), { code: 'invite_refused', message: /uses are taken/ })
  invites.redeem(id, 'b')
})

t.test('uses are on disk before anybody comes in', async (t) => {
  const dataDir = t.testdir()
  const { id } = openInvites(dataDir, () => 0).issue({ uses: 1, expiresAtMs: 10 })
  const file = join(dataDir, 'mesh', 'invites.json')
  openInvites(dataDir, () => 0).redeem(id, 'a')
  t.match(JSON.parse(readFileSync(file, 'utf8')), [{ id, usedBy: ['a'] }])
  if (process.platform !== 'win32') t.equal(statSync(file).mode & 0o777, 0o600)
  const afterRestart = openInvites(dataDir, () => 0)
  t.throws(() => afterRestart.redeem(id, 'b'), { message: /used already/ })
})

t.test('it expires, and is remembered for a while to say so', async (t) => {
  let nowMs = 0
  const invites = openInvites(t.testdir(), () => nowMs)
  const { id } = invites.issue({ uses: 1, expiresAtMs: 1000 })
  t.ok(invites.doorKey(id))
  nowMs = 1000
  t.throws(() => invites.redeem(id, 'a'), { code: 'invite_refused', message: /expired/ })
  nowMs = 30 * 24 * 3_600_000
  invites.issue({ uses: 1, expiresAtMs: nowMs + 1 })
  t.equal(invites.doorKey(id), undefined, 'forgotten')
})

t.test('those that are withdrawn, unknown or in a broken file open nothing', async (t) => {
  const dataDir = t.testdir()
  const invites = openInvites(dataDir, () => 0)
  const { id } = invites.issue({ uses: 1, expiresAtMs: 1000 })
  invites.withdrawAll()
  t.equal(invites.doorKey(id), undefined)
  t.throws(() => invites.redeem(id, 'a'), { message: /not known/ })
  writeFileSync(join(dataDir, 'mesh', 'invites.json'), '{ half')
  t.equal(openInvites(dataDir, () => 0).doorKey(id), undefined)
})
