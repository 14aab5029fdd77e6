/**
 * The native executor: this agent's own nodes, run by a child process. Everything here
 * is cheap and in the agent's process; neither onnxruntime nor sharp is loaded by it.
 */
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { siblingModule } from '../../base/sibling-module.ts'
import { type FolderSettings, ModelFolders } from '../../models/folders.ts'
import type { Executor, InputValidation } from '../executor.ts'
import type { NodeRow } from './node.ts'
import { nodeRows } from './nodes/index.ts'
import { createRunnerProcess } from './runner-process.ts'
import { createModelFiles } from './sessions/model-files.ts'
import { type ProviderName, type ProviderReport, providerNames } from './sessions/settings.ts'
import { estimateStage } from './stage-estimate.ts'

export interface NativeExecutorOptions {
  readonly folders: FolderSettings
  /** Where values are written that leave their stage, an absolute path; in the temp folder where absent. */
  readonly valuesFolder?: string
  /** The only provider to use ('cpu', 'cuda', ...); the best that works where absent. */
  readonly provider?: string
  /** CPU threads of the model sessions; all cores where absent. */
  readonly threads?: number
  /** What the model sessions may hold of the device's memory, in bytes. */
  readonly memoryBudgetBytes?: number
  /** Bound of the cache of node outputs; 256 MB by default. */
  readonly outputCacheBytes?: number
  /** Whether samplers hand out previews; true by default. */
  readonly previews?: boolean
  /** How long a cancelled stage may take to yield before its process is killed. */
  readonly cancelGraceMs?: number
  /** After this time without work the runner ends and gives all memory back. */
  readonly idleShutdownMs?: number
  /** Receives what the runner writes to standard error, line by line. */
  readonly log?: (line: string) => void
  /** Receives what the user should hear of, such as an embedding that is missing. */
  readonly warn?: (message: string) => void
}

/** What tests replace: other nodes, and the program of the child that knows them. */
export interface NativeExecutorModules {
  readonly rows: ReadonlyMap<string, NodeRow>
  readonly runnerEntry: URL
}

export interface NativeExecutor extends Executor {
  /** Tests every provider of this platform, best first; takes seconds. For `doctor`. */
  testProviders(): Promise<readonly ProviderReport[]>
  /** The runner's process id while there is one. */
  readonly runnerPid: number | undefined
}

const OUTPUT_CACHE_BYTES = 256 * 2 ** 20

/** Longer than a step of SD 1.5 at 512x512 takes two cores, so that a kill stays rare. */
const CANCEL_GRACE_MS = 5000

/** Starting again costs under a second; gigabytes that nobody uses cost the user's other work. */
const IDLE_SHUTDOWN_MS = 10 * 60 * 1000

/** @throws MeshError `invalid_settings` where the provider's name is not known. */
export function createNativeExecutor(
  options: NativeExecutorOptions,
  modules: NativeExecutorModules = {
    rows: nodeRows,
    runnerEntry: siblingModule(import.meta.url, 'runner'),
  },
): NativeExecutor {
  const folders = new ModelFolders(options.folders)
  const files = createModelFiles()
  const definitions = createDefinitions(modules.rows, folders)
  const runner = createRunnerProcess({
    entry: modules.runnerEntry,
    configuration: {
      folders: options.folders,
      sessions: sessionSettings(options),
      outputCacheBytes: options.outputCacheBytes ?? OUTPUT_CACHE_BYTES,
      valuesFolder: options.valuesFolder ?? join(options.folders.temp, 'values'),
    },
    previews: options.previews ?? true,
    cancelGraceMs: options.cancelGraceMs ?? CANCEL_GRACE_MS,
    idleShutdownMs: options.idleShutdownMs ?? IDLE_SHUTDOWN_MS,
    log: options.log ?? (() => {}),
    warn: options.warn ?? (() => {}),
  })
  return {
    name: 'native',
    // The runner starts with the first prompt: an idle agent costs little.
    start: async () => {},
    stop: () => runner.stop(),
    definitions: async () => definitions(),
    fingerprint: async (classType, inputs) =>
      modules.rows.get(classType)?.fingerprint?.(inputs, folders),
    validation: (classType) => validationOf(modules.rows.get(classType), folders),
    estimate: (stage) => estimateStage(stage, folders, files),
    prepare: () => runner.prepare(),
    run: (stage, runOptions) => runner.run(stage, runOptions),
    benchmark: (signal) => runner.benchmark(signal),
    free: (what) => runner.free(what),
    testProviders: () => runner.testProviders(),
    openModelFiles: () => runner.openFiles,
    get runnerPid() {
      return runner.pid
    },
  }
}

function sessionSettings({ provider, threads, memoryBudgetBytes }: NativeExecutorOptions) {
  if (provider !== undefined && !isProviderName(provider)) {
    const known = providerNames.join(', ')
    throw new MeshError(
      'invalid_settings',
      `There is no provider '${provider}'; choose of ${known}.`,
    )
  }
  return {
    ...(provider !== undefined && { provider }),
    ...(threads !== undefined && { threads }),
    ...(memoryBudgetBytes !== undefined && { memoryBudgetBytes }),
  }
}

function isProviderName(name: string): name is ProviderName {
  return (providerNames as readonly string[]).includes(name)
}

function validationOf(
  row: NodeRow | undefined,
  folders: ModelFolders,
): InputValidation | undefined {
  if (row?.validation === undefined) return undefined
  const { inputs, check } = row.validation
  return { inputs, check: (constants) => check(constants, folders) }
}

/**
 * The definitions of this moment. Every prompt asks for them, so they are made anew only when a
 * list of files that they show has changed.
 */
function createDefinitions(
  rows: ReadonlyMap<string, NodeRow>,
  folders: ModelFolders,
): () => NodeDefinitions {
  /** Each list that a node shows, and how it is read. */
  const shown = new Map<string, { readonly read: () => string[]; readonly text: string }>()
  let definitions: NodeDefinitions | undefined
  const textOf = (list: readonly string[]) => list.join('\0')

  function make(): NodeDefinitions {
    const lists = new Map<string, string[]>()
    const once = (key: string, read: () => string[]): string[] => {
      const list = lists.get(key) ?? read()
      lists.set(key, list)
      shown.set(key, { read, text: textOf(list) })
      return list
    }
    const names = {
      models: (kind: Parameters<ModelFolders['list']>[0]) => once(kind, () => folders.list(kind)),
      inputFiles: () => once('input files', () => folders.inputFiles()),
    }
    return Object.fromEntries([...rows].map(([name, row]) => [name, row.definition(names)]))
  }

  return () => {
    const isSame = [...shown.values()].every(({ read, text }) => textOf(read()) === text)
    if (definitions === undefined || !isSame) definitions = make()
    return definitions
  }
}
