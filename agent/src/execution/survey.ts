/**
 * What this machine has: devices, nodes, models. Looked at again from time to time, more rarely
 * while nothing happens; what has not changed is not made again.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Advertisement, Catalog, Device, OfferedNode } from '@comfymesh/protocol/advertisement'
import type { JsonValue } from '@comfymesh/protocol/json'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import type { Executor } from '../executors/executor.ts'
import { digestOf } from '../mesh/documents.ts'
import type { ModelCatalog } from '../models/catalog.ts'
import type { DeviceReader } from '../telemetry/devices.ts'

export interface Survey {
  readonly devices: readonly Device[]
  readonly executors: Advertisement['executors']
  /** Of the node classes, each fetched by its digest. */
  readonly documents: readonly JsonValue[]
  /** Absent until they are known. */
  readonly models?: { readonly catalog: Catalog; readonly digest: string }
}

export interface Surveyor {
  start(): void
  stop(): void
  /** What was found out so far. */
  current(): Survey
  /** Something happens here: the next look is not put off. */
  stir(): void
  /** Tells of every change. @returns ends it. */
  onChange(listener: () => void): () => void
}

export interface SurveyorModules {
  readonly executor: Pick<Executor, 'name' | 'definitions' | 'validation'>
  readonly devices: DeviceReader
  readonly catalog: Pick<ModelCatalog, 'read'>
  readonly warn: (message: string, error?: unknown) => void
}

/** Models that are copied into a folder, and memory that other programs take. */
const INTERVAL_MS = 15_000
/** While nothing changes, each look comes twice as late as the one before, up to this. */
const IDLE_INTERVAL_MS = 60_000
/** Folders on slow disks are looked through less often: at most a hundredth of the time. */
const REST_PER_LOOK = 100

interface OfferedNodesOf {
  readonly definitions: NodeDefinitions
  readonly nodesDigest: string
  readonly documents: readonly JsonValue[]
}

export function createSurveyor({ executor, devices, catalog, warn }: SurveyorModules): Surveyor {
  const listeners = new Set<() => void>()
  let survey: Survey = { devices: [], executors: [], documents: [] }
  let nodes: OfferedNodesOf | undefined
  let intervalMs = INTERVAL_MS
  let next: NodeJS.Timeout | undefined
  let nextAtMs = Number.POSITIVE_INFINITY
  let isStopped = false

  function found(changed: Survey): void {
    if (isStopped || isDeepStrictEqual(changed, survey)) return
    survey = changed
    for (const listener of listeners) listener()
  }

  async function look(): Promise<void> {
    const before = survey
    // The quick ones first: what takes long is the identity of models that are new.
    const seen = await devices.read()
    const definitions = await executor.definitions()
    if (definitions !== nodes?.definitions) nodes = offeredNodes(definitions, executor)
    const { nodesDigest, documents } = nodes
    const machine = {
      devices: isNoticeable(survey.devices, seen) ? seen : survey.devices,
      executors: [{ name: executor.name, nodesDigest }],
    }
    found({ ...machine, documents, ...modelsOf(survey) })
    const read = await catalog.read()
    const isSame = isDeepStrictEqual(read, survey.models?.catalog)
    const models = isSame
      ? survey.models
      : { catalog: read, digest: digestOf(read as unknown as JsonValue) }
    found({ ...machine, documents, ...modelsOf({ models }) })
    intervalMs = survey === before ? Math.min(2 * intervalMs, IDLE_INTERVAL_MS) : INTERVAL_MS
  }

  async function lookAndRest(): Promise<void> {
    const startedAtMs = performance.now()
    nextAtMs = Number.POSITIVE_INFINITY
    await look().catch((error: unknown) =>
      warn('What this machine offers could not be found out', error),
    )
    const tookMs = performance.now() - startedAtMs
    rest(Math.max(intervalMs, REST_PER_LOOK * tookMs))
  }

  function rest(ms: number): void {
    if (isStopped) return
    clearTimeout(next)
    nextAtMs = performance.now() + ms
    next = setTimeout(() => void lookAndRest(), ms)
  }

  return {
    start: () => void lookAndRest(),
    stop() {
      isStopped = true
      clearTimeout(next)
    },
    current: () => survey,
    stir() {
      if (intervalMs === INTERVAL_MS) return
      intervalMs = INTERVAL_MS
      if (nextAtMs !== Number.POSITIVE_INFINITY && nextAtMs - performance.now() > INTERVAL_MS)
        rest(INTERVAL_MS)
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

const modelsOf = ({ models }: { readonly models?: Survey['models'] | undefined }) =>
  models === undefined ? {} : { models }

/** Memory, load and warmth waver all the time; only what a planner or a user would notice is news. */
const NOTICEABLE = { freeBytes: 2 ** 28, utilisationPercent: 25, temperatureCelsius: 10 } as const

/** Whether devices are others than before, or noticeably different. */
function isNoticeable(before: readonly Device[], now: readonly Device[]): boolean {
  const fixed = ({ name, kind, totalBytes }: Device) => [name, kind, totalBytes]
  if (!isDeepStrictEqual(before.map(fixed), now.map(fixed))) return true
  const wavering = Object.entries(NOTICEABLE) as [keyof typeof NOTICEABLE, number][]
  return now.some((device, at) =>
    wavering.some(([name, step]) => {
      const [a, b] = [before[at]![name], device[name]]
      return a === undefined || b === undefined ? a !== b : Math.abs(a - b) >= step
    }),
  )
}

/** Each node class is a document, and the index of them is another one. */
function offeredNodes(
  definitions: NodeDefinitions,
  executor: Pick<Executor, 'validation'>,
): OfferedNodesOf {
  const documents: JsonValue[] = []
  const index = Object.entries(definitions).map(([classType, definition]) => {
    const judgedInputs = [...(executor.validation(classType)?.inputs ?? [])]
    const node = { definition, judgedInputs } as OfferedNode as unknown as JsonValue
    documents.push(node)
    return [classType, digestOf(node)]
  })
  const document = Object.fromEntries(index) as JsonValue
  return { definitions, nodesDigest: digestOf(document), documents: [...documents, document] }
}
