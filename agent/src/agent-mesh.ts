/** The mesh of an agent, made of what lies in its data folder, and what the agent offers to it. */

import type { AgentSettings } from './agent.ts'
import { version } from './base/version.ts'
import { createAdvertiser } from './execution/advertiser.ts'
import type { JobRunner } from './execution/job-runner.ts'
import type { Executor } from './executors/executor.ts'
import { loadIdentity } from './mesh/identity.ts'
import { openInvites } from './mesh/invites.ts'
import { openMembership } from './mesh/membership-store.ts'
import { createMesh, type Mesh } from './mesh/mesh.ts'
import { createModelCatalog } from './models/catalog.ts'
import { ModelFolders } from './models/folders.ts'
import type { Database } from './store/database.ts'
import { openModelIdentities } from './store/model-identities.ts'
import { openPeerBook } from './store/peer-book.ts'
import { createDeviceReader } from './telemetry/devices.ts'
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

/**
 * Starts the mesh, and then tells it what this machine offers.
 * @returns ends both.
 */
export function startMesh(
  { name, folders, vramBytes }: AgentSettings,
  modules: {
    readonly mesh: Mesh
    readonly database: Database
    readonly executor: Executor
    readonly jobs: JobRunner
    readonly log: Log
  },
): () => Promise<void> {
  const { mesh, database, executor, jobs, log } = modules
  let stopAdvertising = () => {}
  let isStopped = false

  async function start(): Promise<void> {
    await mesh.start()
    const documents = await mesh.documents()
    const advertiser = createAdvertiser(
      {
        peerId: mesh.peerId,
        name,
        version,
        ...(vramBytes !== undefined && { memoryBudgetBytes: vramBytes }),
      },
      {
        executor,
        jobs,
        devices: createDeviceReader(),
        catalog: createModelCatalog({
          folders: new ModelFolders(folders),
          identities: openModelIdentities(database),
        }),
        offer: documents.offer,
        keepOffered: documents.keepOffered,
        advertise: mesh.advertise,
        warn: log.warn,
      },
    )
    if (isStopped) return
    stopAdvertising = advertiser.stop
    advertiser.start()
  }

  const started = start().catch((error: unknown) => log.error('The mesh did not start', error))
  return async () => {
    isStopped = true
    stopAdvertising()
    await mesh.stop()
    await started
  }
}
