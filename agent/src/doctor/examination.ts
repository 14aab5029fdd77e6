/** The checks of the machine for whoever asks: those who ask meanwhile get the same answer. */
import type { Examination } from '@comfymesh/protocol/agent-state'
import { type ExaminedSettings, examine, machineChecks } from './checks.ts'
import type { Finding } from './finding.ts'

export function createExamination(
  settings: ExaminedSettings,
  modules: { readonly now: () => number },
): () => Promise<Examination> {
  let examining: Promise<Examination> | undefined

  async function findings(): Promise<Examination> {
    const found: Finding[] = []
    await examine(machineChecks, settings, (finding) => found.push(finding))
    const told = found.map(({ check, state, message, advice }) => {
      return { check, state, message, ...(advice !== undefined && { advice }) }
    })
    return { examinedAtMs: modules.now(), findings: told }
  }

  return () => {
    examining ??= findings().finally(() => {
      examining = undefined
    })
    return examining
  }
}
