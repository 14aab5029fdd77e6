/** What members make of each other's states: followed, lost and repeated changes. */
import t, { type Test } from 'tap'
import {
  fingerprintOf,
  foundMesh,
  isBehind,
  keyFrom,
  type Membership,
  membershipSchema,
  merged,
  rotated,
  standingOf,
  withMembers,
} from '../../src/mesh/membership.ts'

const meshOf = (...ids: string[]) => withMembers(foundMesh(ids[0]!), ids)

/** Both orders of meeting come to the same end. */
function meet(t: Test, a: Membership, b: Membership): Membership {
  const first = merged(a, b)
  const second = merged(b, a)
  t.strictSame(merged(first, second), merged(second, first), 'both are of one mind')
  return merged(first, second)
}

t.test('a new mesh has one member and a long random secret', async (t) => {
  const mesh = foundMesh('a')
  t.strictSame(mesh.members, ['a'])
  t.not(mesh.secret, foundMesh('a').secret)
  t.not(mesh.meshId, foundMesh('a').meshId)
  t.ok(membershipSchema.safeParse(mesh).success)
  t.notOk(membershipSchema.safeParse({ ...mesh, secret: 'short' }).success)
})

t.test('keys for different purposes have nothing in common', async (t) => {
  const { secret } = foundMesh('a')
  t.strictSame(keyFrom(secret, 'noise'), keyFrom(secret, 'noise'))
  t.notSame(keyFrom(secret, 'noise'), keyFrom(secret, 'follow'))
  t.not(fingerprintOf(secret), fingerprintOf(foundMesh('a').secret))
})

t.test('members of one secret unite what they know', async (t) => {
  const mesh = meshOf('a', 'b')
  const both = meet(t, withMembers(mesh, ['c']), withMembers(mesh, ['d']))
  t.strictSame(both.members, ['a', 'b', 'c', 'd'])
  t.equal(withMembers(mesh, ['a']), mesh, 'nothing new is the same object')
})

t.test('a greater epoch wins whole', async (t) => {
  const mesh = meshOf('a', 'b', 'c')
  const without = rotated(mesh, ['c'])
  t.strictSame(without.members, ['a', 'b'])
  t.strictSame(without.removed, ['c'])
  t.strictSame(without.previous, [mesh.secret])
  t.ok(isBehind(standingOf(mesh), standingOf(without)))
  t.notOk(isBehind(standingOf(without), standingOf(mesh)))
  t.equal(meet(t, mesh, without), without)
})

t.test('a removed peer does not come back by what it told those who were away', async (t) => {
  const mesh = meshOf('a', 'b', 'c')
  const without = rotated(mesh, ['c'])
  // b was away, met c meanwhile and heard of a friend of it.
  const told = withMembers(mesh, ['c', 'd'])
  t.strictSame(merged(told, without).members, ['a', 'b'])
  t.strictSame(merged(without, told).members, ['a', 'b'])
})

t.test('of two changes at the same time one wins, and no removal is lost', async (t) => {
  const mesh = meshOf('a', 'b', 'c', 'd')
  const end = meet(t, rotated(mesh, ['c']), rotated(mesh, ['d']))
  const late = merged(end, rotated(mesh, ['c']))
  t.strictSame(late, end, 'settled')
  t.ok(end.removed.includes('c') || end.removed.includes('d'))
})

t.test('whoever loses to a change that it did not know repeats its removals', async (t) => {
  const mesh = meshOf('a', 'b', 'c')
  const mine = rotated(mesh, ['c'])
  const theirs = rotated(rotated(mesh))
  const next = merged(mine, theirs)
  t.equal(next.epoch, theirs.epoch + 1)
  t.strictSame(next.members, ['a', 'b'])
  t.ok(next.previous.includes(theirs.secret), 'the others can follow')
})

t.test('a removed peer that is invited again stays', async (t) => {
  const without = rotated(meshOf('a', 'b', 'c'), ['c'])
  const again = withMembers(without, ['c'])
  t.strictSame(again.members, ['a', 'b', 'c'])
  t.strictSame(again.removed, [])
  t.strictSame(meet(t, without, again).members, ['a', 'b', 'c'], 'everybody hears of it')
})

t.test('states of different meshes have no order', async (t) => {
  t.notOk(isBehind(standingOf(foundMesh('a')), standingOf(rotated(foundMesh('b')))))
})
