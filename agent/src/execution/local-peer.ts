/** What this machine offers: to its own planner, and to the mesh in the same words. */
import type { Advertisement } from '@comfymesh/protocol/advertisement'
import type { Executor } from '../executors/executor.ts'
import type { ModelCatalog } from '../models/catalog.ts'
import type { PeerOffer } from '../planning/peers.ts'
import type { MachineSpeed } from './machine-speed.ts'
import type { Surveyor } from './survey.ts'

export interface LocalPeerOptions {
  readonly peerId: string
  readonly name: string
  readonly version: string
  /** What the owner lets comfymesh use of the devices' memory. */
  readonly memoryBudgetBytes?: number
}

export interface LocalPeer {
  readonly peerId: string
  /** As the mesh is told, without the queue and what was learned. */
  advertisement(): Advertisement
  /** The offer of this moment: the model and file lists are read anew. */
  offer(): Promise<PeerOffer>
}

export interface LocalPeerModules {
  readonly executor: Pick<Executor, 'definitions' | 'validation' | 'openModelFiles'>
  /** Absent where the agent is alone: then nothing is compared with anything. */
  readonly surveyor?: Pick<Surveyor, 'current'>
  readonly catalog?: Pick<ModelCatalog, 'identityOf'>
  readonly machineSpeed?: Pick<MachineSpeed, 'current'>
  /** How long the stages take that run and wait here already. */
  readonly busyMs: () => number
}

export function createLocalPeer(options: LocalPeerOptions, modules: LocalPeerModules): LocalPeer {
  const { executor, surveyor, catalog, machineSpeed, busyMs } = modules

  function residentModels(): string[] {
    const open = executor.openModelFiles?.() ?? []
    const ids = open.flatMap((path) => catalog?.identityOf(path) ?? [])
    return [...new Set(ids)].sort()
  }

  function advertisement(): Advertisement {
    const survey = surveyor?.current()
    const speed = machineSpeed?.current()
    const provider = speed === undefined ? {} : { provider: speed.provider }
    return {
      ...options,
      devices: [...(survey?.devices ?? [])],
      executors: (survey?.executors ?? []).map((one) => ({ ...one, ...provider })),
      ...(speed !== undefined && { benchmarkGflops: speed.gflops }),
      ...(survey?.models !== undefined && { catalogDigest: survey.models.digest }),
      residentModels: residentModels(),
      queue: { running: 0, waiting: 0 },
      times: [],
    }
  }

  return {
    peerId: options.peerId,
    advertisement,
    offer: async () => {
      const models = surveyor?.current().models
      return {
        advertisement: advertisement(),
        definitions: await executor.definitions(),
        judgedInputs: (classType) => executor.validation(classType)?.inputs ?? [],
        ...(models !== undefined && { catalog: models.catalog }),
        // A job that is planned waits for the stages of others, and for no job behind it.
        waitMs: busyMs(),
      }
    },
  }
}
