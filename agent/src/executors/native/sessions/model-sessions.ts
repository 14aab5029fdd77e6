/**
 * Opens the networks of model files with onnxruntime and keeps their sessions:
 * what nodes and samplers see of it stands in ../models.ts.
 */
import { totalmem } from 'node:os'
import { MeshError } from '@comfymesh/protocol/errors'
import { pixelSpace } from '../image/pixel-space.ts'
import type { ModelSessions } from '../models.ts'
import { openAutoencoder } from './autoencoder.ts'
import type { BatchLimits } from './batches.ts'
import { openDenoiser } from './denoiser.ts'
import { loraDoubt } from './lora-doubt.ts'
import { anonymousBytes } from './memory.ts'
import { createModelFiles } from './model-files.ts'
import type { NetworkModules } from './network-runner.ts'
import type { Session } from './open-session.ts'
import { createSessionCache } from './session-cache.ts'
import type { ProviderName, ProviderReport, SessionSettings } from './settings.ts'
import { openTextEncoder } from './text-encoder.ts'

/** Leaves a job at 512x512 below 4 GB with all else the runner holds. */
const CPU_BUDGET_BYTES = 3 * 2 ** 30

/** ... and never more than this part of a smaller machine's memory. */
const CPU_BUDGET_SHARE = 0.6

const MAX_SESSIONS = 16

export interface OwnedModelSessions extends ModelSessions {
  /** Closes all that are open; what is needed again is opened again. Not during a use. */
  release(): Promise<void>
  /** The model files of those that are open, as absolute paths. */
  readonly files: readonly string[]
  /** The provider that computes. @throws MeshError `node_failed` where none can. */
  usable(): ProviderReport
}

/** @param reports what became of the providers; the first that is fine computes. */
export function createModelSessions(
  settings: SessionSettings,
  reports: readonly ProviderReport[],
): OwnedModelSessions {
  const provider = reports.find(({ ok }) => ok)
  const limits: BatchLimits = new Map()
  const clock = { elapsedMs: 0 }
  const budgetBytes = settings.memoryBudgetBytes ?? defaultBudget(provider)
  const common = {
    settings,
    budgetBytes,
    clock,
    files: createModelFiles({ isBlocking: true }),
    sessions: createSessionCache<Session>({
      budgetBytes,
      maxEntries: MAX_SESSIONS,
      measureBytes: provider?.name === 'cpu' ? anonymousBytes : () => undefined,
    }),
  }
  const usable = (): ProviderReport => {
    if (provider === undefined) throw noProvider(reports, settings.provider)
    return provider
  }
  const modules = (): NetworkModules => ({ ...common, provider: usable() })
  return {
    textEncoder: async (handle) => openTextEncoder(modules(), handle),
    denoiser: async (handle) => openDenoiser(modules(), limits, handle),
    autoencoder: async ({ path }) =>
      path === null ? pixelSpace : openAutoencoder(modules(), path),
    loraDoubt: (path, handles) => {
      const models = new Set(handles.map((handle) => handle.path))
      return loraDoubt(common.files, path, [...models])
    },
    usable,
    release: () => common.sessions.clear(),
    get files() {
      return common.sessions.sources
    },
    get provider() {
      return provider?.name
    },
    get sessionMs() {
      return clock.elapsedMs
    },
  }
}

/** A device's free memory is not known beforehand: there, running out of it is what tells. */
function defaultBudget(provider: ProviderReport | undefined): number {
  if (provider?.name !== 'cpu') return Number.POSITIVE_INFINITY
  return Math.min(CPU_BUDGET_BYTES, totalmem() * CPU_BUDGET_SHARE)
}

function noProvider(reports: readonly ProviderReport[], demanded?: ProviderName): MeshError {
  const reasons = reports.map(({ name, reason }) => `${name}: ${reason ?? 'not tried'}`).join('; ')
  const message =
    demanded === undefined
      ? `No provider can run models here (${reasons}). Run \`comfymesh doctor\`.`
      : `The setting \`provider\` demands ${demanded}, which cannot run models here (${reasons}). ` +
        `Leave the setting out, or see \`comfymesh doctor --provider ${demanded}\`.`
  return new MeshError('node_failed', message, { details: { providers: reports } })
}
