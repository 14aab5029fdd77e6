/** Whom a member tells the state of the mesh, and when. */
import t from 'tap'
import { foundMesh, type Membership, withMembers } from '../../src/mesh/membership.ts'
import { protocols } from '../../src/mesh/protocols.ts'
import { createRoster, type RosterModules } from '../../src/mesh/roster.ts'
import { memoryPeers } from './memory-streams.ts'

t.test('whoever came before it started is a member and told, too', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  let current = foundMesh('a')
  const heard = new Promise<Membership>((resolve) => {
    void b.rpc.handle(protocols.membership, (theirs) => {
      resolve(theirs)
      return theirs
    })
  })
  const roster = createRoster({
    identity: { peerId: 'a' },
    rpc: a.rpc,
    node: {
      connectedPeers: () => ['b'],
      onConnection: (listener: (connection: object) => void) => listener({ remotePeer: 'b' }),
    },
    membership: {
      current: () => current,
      set(next: Membership) {
        current = next
      },
      onChange: () => () => {},
    },
  } as unknown as RosterModules)
  t.teardown(() => roster.stop())
  await roster.start()
  t.strictSame((await heard).members, withMembers(current, ['b']).members)
  t.strictSame(current.members, ['a', 'b'])
})
