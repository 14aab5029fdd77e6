/** A member of a mesh that is no whole agent: what benchmarks put beside one. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadIdentity } from '../../src/mesh/identity.ts'
import { openInvites } from '../../src/mesh/invites.ts'
import { type Membership, membershipSchema } from '../../src/mesh/membership.ts'
import { createMesh, type Mesh } from '../../src/mesh/mesh.ts'
import type { PeerEntry } from '../../src/store/peer-book.ts'

/** What an invite would give; fifty of them would measure the door. */
export function membershipOf({ dataDir }: { readonly dataDir: string }): Membership {
  const text = readFileSync(join(dataDir, 'mesh', 'membership.json'), 'utf8')
  return membershipSchema.parse(JSON.parse(text))
}

/** A peer in this process that knows the agent alone, so that it has no connections besides. */
export async function startPeer(dataDir: string, mesh: Membership, name: string): Promise<Mesh> {
  const identity = loadIdentity(dataDir)
  const book = new Map<string, PeerEntry>()
  const current = { ...mesh, members: [...mesh.members, identity.peerId].sort() }
  const silent = { info() {}, warn() {}, error() {} }
  const peer = createMesh(
    { name, port: 0, peers: [], discovery: true },
    {
      identity,
      membership: { current: () => current, set() {}, onChange: () => () => {} },
      invites: openInvites(dataDir, Date.now),
      book: {
        all: () => [...book.values()],
        entry: (id) => book.get(id),
        put: (entry) => void book.set(entry.peerId, entry),
        settled: async () => {},
      },
      log: silent,
      now: Date.now,
    },
  )
  await peer.start()
  return peer
}
