/** A copied data folder: noticed by the younger process, and only where a member says so. */
import type { MeshError } from '@comfymesh/protocol/errors'
import t, { type Test } from 'tap'
import { createDoor } from '../../src/mesh/door.ts'
import { loadIdentity } from '../../src/mesh/identity.ts'
import { fingerprintOf, foundMesh, type Membership } from '../../src/mesh/membership.ts'
import { createTwinWatch, isOlderTwin, type TwinWatch } from '../../src/mesh/twin.ts'

const identity = loadIdentity(t.testdir())
const mesh = foundMesh(identity.peerId)

function watch(run: string, uptimeMs: number, membership: Membership = mesh) {
  let notice = (_: MeshError) => {}
  const noticed = new Promise<MeshError>((resolve) => {
    notice = resolve
  })
  const twins = createTwinWatch({
    identity,
    name: run,
    membership: { current: () => membership, set() {}, onChange: () => () => {} },
    self: () => ({ peerId: identity.peerId, run, uptimeMs }),
    onOlderTwin: notice,
  })
  return { twins, noticed }
}

/** What is heard of a process that has this row at its door. */
async function sighting(t: Test, { row }: TwinWatch) {
  const door = createDoor({ who: row })
  t.teardown(() => door.close())
  const doorPort = await door.listen(0)
  const { meshId } = mesh
  const { peerId } = identity
  const said = { peerId, meshId, epoch: 0, fingerprint: '', port: 1, run: 'other', doorPort }
  return { ...said, hosts: ['127.0.0.1'] }
}

t.test('the younger one learns where the other is and what to do', async (t) => {
  const heard = await sighting(t, watch('old', 5000).twins)
  const young = watch('young', 10)
  young.twins.sighted(heard)
  const error = await young.noticed
  t.match(error, { code: 'duplicate_identity', message: /127\.0\.0\.1.*mesh new-identity/ })
})

t.test('whoever does not have the secret has no key to say so', async (t) => {
  const liar = watch('liar', 1e9, foundMesh(identity.peerId))
  const member = watch('member', 1e9)
  const fingerprint = fingerprintOf(mesh.secret)
  t.equal(liar.twins.row.key(fingerprint), undefined)
  t.equal(member.twins.row.key(fingerprint)?.length, 32)
})

t.test('one of the two goes, not both', async (t) => {
  const who = (run: string, uptimeMs: number, peerId = 'me') => ({ peerId, run, uptimeMs })
  t.ok(isOlderTwin(who('a', 2), who('b', 1)))
  t.notOk(isOlderTwin(who('a', 1), who('b', 2)))
  t.ok(isOlderTwin(who('a', 1), who('b', 1)))
  t.notOk(isOlderTwin(who('b', 1), who('a', 1)))
  t.notOk(isOlderTwin(who('a', 2), who('a', 1)), 'its own echo')
  t.notOk(isOlderTwin(who('a', 2, 'other'), who('b', 1)))
})
