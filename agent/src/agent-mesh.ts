/** The mesh of an agent, made of what lies in its data folder, and what the agent offers to it. */

import { MeshError } from '@comfymesh/protocol/errors'
import type { AgentSettings } from './agent.ts'
import { version } from './base/version.ts'
import { type Advertiser, createAdvertiser } from './execution/advertiser.ts'
import type { JobRunner } from './execution/job-runner.ts'
import { createLocalPeer, type LocalPeer } from './execution/local-peer.ts'
import { createMachineSpeed, type MachineSpeed } from './execution/machine-speed.ts'
import { servePeerLogs } from './execution/peer-logs.ts'
import { createPeerOffers, type PeerOffers } from './execution/peer-offers.ts'
import { serveStages } from './execution/stage-service.ts'
import type { StageWorker } from './execution/stage-worker.ts'
import { createSurveyor, type Surveyor } from './execution/survey.ts'
import type { Executor } from './executors/executor.ts'
import { loadIdentity } from './mesh/identity.ts'
import { openInvites } from './mesh/invites.ts'
import { openMembership } from './mesh/membership-store.ts'
import { createMesh, type Mesh } from './mesh/mesh.ts'
import { createModelCatalog, type ModelCatalog } from './models/catalog.ts'
import { ModelFolders } from './models/folders.ts'
import { openBenchmarks } from './store/benchmarks.ts'
import type { BlobStore } from './store/blobs.ts'
import type { Database } from './store/database.ts'
import type { LearnedTimesStore } from './store/learned-times.ts'
import { openModelIdentities } from './store/model-identities.ts'
import { openPeerBook } from './store/peer-book.ts'
import { createDeviceReader } from './telemetry/devices.ts'
import type { Log } from './telemetry/log.ts'
import { createTensors, type Tensors } from './tensors/tensors.ts'

/** The id of an agent without a mesh. */
const ALONE = 'local'

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

/** What an agent tells of itself and hears of others. */
export interface AgentOffers {
  readonly catalog: ModelCatalog
  readonly localPeer: LocalPeer
  readonly surveyor: Surveyor
  readonly peerOffers: PeerOffers
  readonly machineSpeed: MachineSpeed
}

/** @param mesh absent where the agent is alone: then there is nothing to find out. */
export function prepareOffers(
  { name, folders, vramBytes, provider, threads }: AgentSettings,
  modules: {
    readonly mesh: Mesh | undefined
    readonly database: Database
    readonly executor: Executor
    readonly busyMs: () => number
    readonly log: Log
  },
): AgentOffers {
  const { mesh, database, executor, busyMs, log } = modules
  const { warn } = log
  const catalog = createModelCatalog({
    folders: new ModelFolders(folders),
    identities: openModelIdentities(database),
  })
  const devices = createDeviceReader()
  const surveyor = createSurveyor({ executor, catalog, devices, warn })
  const settings = {
    ...(provider !== undefined && { provider }),
    ...(threads !== undefined && { threads }),
  }
  const machineSpeed = createMachineSpeed(
    { version, settings },
    { executor, benchmarks: openBenchmarks(database), devices, warn },
  )
  const localPeer = createLocalPeer(
    {
      peerId: mesh?.peerId ?? ALONE,
      name,
      version,
      ...(vramBytes !== undefined && { memoryBudgetBytes: vramBytes }),
    },
    { executor, surveyor, catalog, machineSpeed, busyMs },
  )
  const peerOffers = createPeerOffers({
    localPeer,
    surveyor,
    ...(mesh !== undefined && { mesh }),
    now: () => performance.now(),
    warn,
  })
  return { catalog, localPeer, surveyor, peerOffers, machineSpeed }
}

/** @param mesh absent where the agent is alone: then nobody can be asked. */
export function prepareTensors(
  selfId: string,
  modules: { readonly mesh: Mesh | undefined; readonly blobs: BlobStore; readonly log: Log },
): Tensors {
  const { mesh, blobs, log } = modules
  return createTensors(
    { selfId },
    {
      blobs,
      async open(peerId, options) {
        if (mesh === undefined) throw new MeshError('mesh_unavailable', 'This agent has no mesh.')
        return (await mesh.bulk()).open(peerId, options)
      },
      now: () => performance.now(),
      warn: log.warn,
    },
  )
}

/**
 * Starts the mesh, works for it, tells it what this machine offers, and listens to what the others do.
 * @returns ends all of it.
 */
export function startMesh(
  { localPeer, surveyor, peerOffers, machineSpeed }: AgentOffers,
  modules: {
    readonly mesh: Mesh
    readonly jobs: JobRunner
    readonly stages: StageWorker
    readonly times: LearnedTimesStore
    readonly tensors: Pick<Tensors, 'serve'>
    readonly blobs: Pick<BlobStore, 'put'>
    readonly log: Log
  },
): () => Promise<void> {
  const { mesh, jobs, stages, times, tensors, blobs, log } = modules
  let advertiser: Advertiser | undefined
  let isStopped = false

  async function start(): Promise<void> {
    await mesh.start()
    await servePeerLogs({ log, mesh })
    await (await mesh.bulk()).serve(tensors.serve)
    const { put } = blobs
    await serveStages({}, { rpc: await mesh.rpc(), worker: stages, put, warn: log.warn })
    const { offer, keepOffered } = await mesh.documents()
    if (isStopped) return
    const { advertise } = mesh
    advertiser = createAdvertiser({
      localPeer,
      surveyor,
      jobs,
      stages,
      times,
      now: () => performance.now(),
      offer,
      keepOffered,
      advertise,
    })
    advertiser.start()
  }

  surveyor.start()
  peerOffers.start()
  const unlisten = mesh.onChange(() => jobs.reconsider())
  machineSpeed.start(() => advertiser?.changed())
  const started = start().catch((error: unknown) => log.error('The mesh did not start', error))
  return async () => {
    isStopped = true
    unlisten()
    advertiser?.stop()
    peerOffers.stop()
    surveyor.stop()
    machineSpeed.stop()
    await mesh.stop()
    await started
  }
}
