/** What becomes of an announcement. */
import t from 'tap'
import type { Sighting } from '../../src/mesh/discovery.ts'
import { createSightings } from '../../src/mesh/sightings.ts'

const self = {
  peerId: 'me',
  meshId: 'mesh',
  epoch: 2,
  fingerprint: 'b',
  port: 1,
  doorPort: 2,
  run: 'run-b',
}
const other: Sighting = { ...self, peerId: 'other', run: 'run-o', hosts: ['10.0.0.7'], doorPort: 9 }

function sight(sighting: Sighting): string[] {
  const done: string[] = []
  const onSighting = createSightings({
    self: () => self,
    links: { sighted: ({ peerId }) => done.push(`connect ${peerId}`) },
    roster: { follow: (door) => done.push(`follow ${door[0]!.host}:${door[0]!.port}`) },
    twins: { sighted: ({ run }) => done.push(`twin ${run}`) },
  })
  onSighting(sighting)
  return done
}

t.test('members of the same secret are connected', async (t) => {
  t.strictSame(sight(other), ['connect other'])
})

t.test('a member that is ahead is followed, one that is behind comes by itself', async (t) => {
  t.strictSame(sight({ ...other, epoch: 3, fingerprint: 'a' }), ['follow 10.0.0.7:9'])
  t.strictSame(sight({ ...other, fingerprint: 'c' }), ['follow 10.0.0.7:9'], 'at the same time')
  t.strictSame(sight({ ...other, epoch: 1, fingerprint: 'z' }), [])
  t.strictSame(sight({ ...other, fingerprint: 'a' }), [])
})

t.test('other meshes are nobody’s business', async (t) => {
  t.strictSame(sight({ ...other, meshId: 'another', epoch: 9, fingerprint: 'z' }), [])
  t.strictSame(sight({ ...other, meshId: 'another' }), [])
})

t.test('its own identity elsewhere is looked into, whether it is true or not', async (t) => {
  t.strictSame(sight({ ...other, peerId: 'me' }), ['twin run-o'])
  t.strictSame(sight({ ...other, peerId: 'me', meshId: 'another' }), [])
})
