/** Tries the providers one by one, the fastest kind first, and says what became of each. */
import { env, listSupportedBackends } from 'onnxruntime-node'
import { testProvider } from './self-test.ts'
import { backendNames } from './session-options.ts'
import {
  type ProviderName,
  type ProviderReport,
  providerNames,
  type SessionSettings,
} from './settings.ts'

export interface ProviderListeners {
  /** Called before a provider is touched: a bad driver can end the process here. */
  testing(provider: ProviderName): void
  tested(report: ProviderReport): void
}

/**
 * Tests the forced provider, or those of this platform until one is fine (or all of them).
 * @param known reports of an earlier process; a provider with one is not tested again.
 * @returns what `listeners.tested` also hears, in the order of preference.
 */
export async function testProviders(
  settings: SessionSettings,
  { known, testAll }: { readonly known: readonly ProviderReport[]; readonly testAll: boolean },
  listeners: ProviderListeners,
): Promise<readonly ProviderReport[]> {
  // Why a provider fails stands in its report; onnxruntime need not print it too.
  env.logLevel = 'fatal'
  const reports: ProviderReport[] = []
  for (const name of candidates(settings)) {
    const earlier = known.find((report) => report.name === name)
    if (earlier === undefined) listeners.testing(name)
    const report = earlier ?? (await testProvider(name, settings))
    listeners.tested(report)
    reports.push(report)
    if (report.ok && !testAll) break
  }
  return reports
}

function candidates({ provider }: SessionSettings): readonly ProviderName[] {
  const offered = new Set(listSupportedBackends().map(({ name }) => name))
  if (provider !== undefined) return [provider]
  return providerNames.filter((name) => offered.has(backendNames[name]))
}
