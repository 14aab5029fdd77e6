/**
 * Keeps what this machine offers to the mesh true: devices, nodes, models, queue, speeds. What is
 * large becomes a document under its digest; what has not changed is not said again.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Advertisement, Catalog, OfferedNode } from '@comfymesh/protocol/advertisement'
import type { JsonValue } from '@comfymesh/protocol/json'
import type { Executor } from '../executors/executor.ts'
import type { ModelCatalog } from '../models/catalog.ts'
import type { DeviceReader } from '../telemetry/devices.ts'
import type { JobRunner } from './job-runner.ts'
import { createMeasuredSpeeds } from './measured-speeds.ts'

export interface AdvertiserOptions {
  readonly peerId: string
  readonly name: string
  readonly version: string
  /** What the owner lets comfymesh use of the devices' memory. */
  readonly memoryBudgetBytes?: number
}

export interface AdvertiserModules {
  readonly executor: Pick<Executor, 'name' | 'definitions' | 'validation'>
  readonly jobs: Pick<JobRunner, 'running' | 'pending' | 'subscribe'>
  readonly devices: DeviceReader
  readonly catalog: ModelCatalog
  /** Offers a document. @returns its digest. */
  readonly offer: (document: JsonValue) => string
  /** Withdraws all documents but these. */
  readonly keepOffered: (digests: readonly string[]) => void
  readonly advertise: (advertisement: Advertisement) => void
  readonly warn: (message: string, error?: unknown) => void
}

export interface Advertiser {
  /** Says at once what is known at once, and the rest as it is found out. */
  start(): void
  stop(): void
}

/** Jobs begin and end in bursts. */
const GATHER_MS = 250
/** Models that are copied into a folder, and memory that other programs take. */
const SURVEY_INTERVAL_MS = 15_000
/** Folders on slow disks are looked through less often: at most a hundredth of the time. */
const REST_PER_SURVEY = 100

/** What takes time to find out. */
interface Survey {
  readonly devices: Advertisement['devices']
  readonly executors: Advertisement['executors']
  readonly catalog: Catalog
  readonly catalogDigest?: string
}

const nothingYet: Survey = { devices: [], executors: [], catalog: [] }

export function createAdvertiser(
  options: AdvertiserOptions,
  modules: AdvertiserModules,
): Advertiser {
  const { jobs, warn } = modules
  const { peerId, name, version, memoryBudgetBytes } = options
  const speeds = createMeasuredSpeeds({ peerId })
  let survey = nothingYet
  /** Documents of the survey before: a peer may be fetching them. */
  let previousDigests: readonly string[] = []
  let said: Advertisement | undefined
  let gathering: NodeJS.Timeout | undefined
  let next: NodeJS.Timeout | undefined
  let unsubscribe = () => {}
  let isStopped = false

  function say(): void {
    const { devices, executors, catalog, catalogDigest } = survey
    const advertisement: Advertisement = {
      peerId,
      name,
      version,
      devices,
      ...(memoryBudgetBytes !== undefined && { memoryBudgetBytes }),
      executors,
      ...(catalogDigest !== undefined && { catalogDigest }),
      residentModels: [],
      queue: { running: jobs.running().length, waiting: jobs.pending().length },
      speeds: speeds.current(catalog),
    }
    if (said !== undefined && isDeepStrictEqual(coarse(said), coarse(advertisement))) return
    said = advertisement
    modules.advertise(advertisement)
  }

  function saySoon(): void {
    gathering ??= setTimeout(() => {
      gathering = undefined
      say()
    }, GATHER_MS)
  }

  async function lookAround(): Promise<void> {
    const startedAt = performance.now()
    try {
      const digests: string[] = []
      const offer = (document: JsonValue) => {
        const digest = modules.offer(document)
        digests.push(digest)
        return digest
      }
      // The quick ones first: a peer without its models can be planned with already.
      const devices = await modules.devices.read()
      const executors = [await offeredExecutor(modules.executor, offer)]
      survey = { ...survey, devices, executors }
      if (!isStopped) say()
      const catalog = await modules.catalog.read()
      survey = { devices, executors, catalog, catalogDigest: offer(catalog) }
      if (isStopped) return
      say()
      modules.keepOffered([...previousDigests, ...digests])
      previousDigests = digests
    } catch (error) {
      warn('What this machine offers could not be found out', error)
    }
    const restMs = REST_PER_SURVEY * (performance.now() - startedAt)
    if (!isStopped) {
      next = setTimeout(() => void lookAround(), Math.max(SURVEY_INTERVAL_MS, restMs))
    }
  }

  return {
    start() {
      unsubscribe = jobs.subscribe((update) => {
        speeds.heard(update)
        if (update.event.type !== 'node-progress') saySoon()
      })
      say()
      void lookAround()
    },
    stop() {
      isStopped = true
      unsubscribe()
      clearTimeout(gathering)
      clearTimeout(next)
    },
  }
}

/** Each node class is a document, and the index of them is another one. */
async function offeredExecutor(
  executor: AdvertiserModules['executor'],
  offer: (document: JsonValue) => string,
): Promise<Advertisement['executors'][number]> {
  const definitions = await executor.definitions()
  const index = Object.entries(definitions).map(([classType, definition]) => {
    const judgedInputs = [...(executor.validation(classType)?.inputs ?? [])]
    const node = { definition, judgedInputs } as unknown as OfferedNode
    return [classType, offer(node as unknown as JsonValue)]
  })
  return { name: executor.name, nodesDigest: offer(Object.fromEntries(index)) }
}

/** Free memory wavers all the time; only what a planner would notice is news. */
const NOTICEABLE_BYTES = 2 ** 28

function coarse(advertisement: Advertisement): Advertisement {
  const devices = advertisement.devices.map(({ freeBytes, ...device }) => ({
    ...device,
    ...(freeBytes !== undefined && { freeBytes: Math.round(freeBytes / NOTICEABLE_BYTES) }),
  }))
  return { ...advertisement, devices }
}
