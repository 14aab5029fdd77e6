/** The mesh of an agent, made of what lies in its data folder. */
import type { AgentSettings } from './agent.ts'
import { loadIdentity } from './mesh/identity.ts'
import { openInvites } from './mesh/invites.ts'
import { openMembership } from './mesh/membership-store.ts'
import { createMesh, type Mesh } from './mesh/mesh.ts'
import type { Database } from './store/database.ts'
import { openPeerBook } from './store/peer-book.ts'
import type { Log } from './telemetry/log.ts'

/**
 * Makes the mesh of an agent without starting it.
 * @returns undefined where the settings switch it off.
 * @throws MeshError `storage_failed`, `malformed_file`
 */
export async function prepareMesh(
  { name, dataDir, mesh: options }: AgentSettings,
  database: Database,
  log: Log,
): Promise<Mesh | undefined> {
  if (options === undefined) return undefined
  const identity = loadIdentity(dataDir)
  return createMesh(
    { name, ...options },
    {
      identity,
      membership: openMembership(dataDir, identity.peerId),
      invites: openInvites(dataDir, Date.now),
      book: await openPeerBook(database, log.warn),
      log,
      now: Date.now,
    },
  )
}
