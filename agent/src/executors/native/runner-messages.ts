/**
 * What the agent and its runner say to each other: one row a message, in both
 * directions. Sent with structured clone, so typed arrays and bigints stay as they are.
 */
import type { ErrorReport } from '@comfymesh/protocol/errors'
import type { FolderSettings } from '../../models/folders.ts'
import type { Benchmark, Stage, StageEvent, StageResult } from '../executor.ts'
import type { ProviderName, ProviderReport, SessionSettings } from './sessions/settings.ts'

export interface RunnerConfiguration {
  readonly folders: FolderSettings
  readonly sessions: SessionSettings
  /** Bound of the cache of node outputs. */
  readonly outputCacheBytes: number
  /** Where values are written that leave their stage. */
  readonly valuesFolder: string
  readonly providers: {
    /** Reports of an earlier runner that need no second test. */
    readonly known: readonly ProviderReport[]
    /** Test every provider of the platform, not only until one will do. */
    readonly testAll: boolean
  }
}

/** From the agent to the runner. */
export interface Commands {
  /** Always the first message; the runner tests providers and answers `ready`. */
  configure: { readonly configuration: RunnerConfiguration }
  run: { readonly run: number; readonly stage: Stage; readonly previews: boolean }
  /** Measure the speed; answered with `benchmarked`. Between runs only, and cancelled as they are. */
  benchmark: { readonly run: number }
  cancel: { readonly run: number }
  /** Close all models; between runs only, and answered with `released`. */
  release: Record<never, never>
}

/** From the runner to the agent. */
export interface Reports {
  /** Sent before a provider is touched: if the process dies now, that provider killed it. */
  testing: { readonly provider: ProviderName }
  tested: { readonly report: ProviderReport }
  ready: Record<never, never>
  /** What happened at one moment. */
  events: { readonly run: number; readonly events: readonly StageEvent[] }
  finished: { readonly run: number; readonly result: StageResult }
  benchmarked: { readonly run: number; readonly benchmark: Benchmark }
  failed: { readonly run: number; readonly error: ErrorReport }
  released: Record<never, never>
  /** The model files that are open, as absolute paths; after each run. */
  open: { readonly files: readonly string[] }
  /** Something that the user should hear of, though the run goes on. */
  warning: { readonly message: string }
}

/** A row of a message table as it is sent. */
export type Message<Table> = {
  [Type in keyof Table]: { readonly type: Type } & Table[Type]
}[keyof Table]

/** One function a row; a missing one does not compile. */
export type Handlers<Table> = { readonly [Type in keyof Table]: (message: Table[Type]) => void }

/** Calls the handler of a message's type. Both ends are ours, so an unknown type is a bug. */
export function dispatch<Table>(handlers: Handlers<Table>, message: Message<Table>): void {
  const handler = handlers[message.type]
  if (handler === undefined) throw new TypeError(`unknown message ${String(message.type)}`)
  handler(message)
}
