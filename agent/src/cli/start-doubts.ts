/** What an agent finds out after its greeting, since it takes longer than anybody would wait for it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AgentSettings } from '../agent.ts'
import { counted } from '../base/duration.ts'
import { ModelFolders } from '../models/folders.ts'
import { terminalAt } from './terminal.ts'

/** Looks at one thing. @param signal ends it early. @returns what to warn of, if anything. */
type Doubt = (settings: AgentSettings, signal: AbortSignal) => Promise<string | undefined>

// What they need is loaded on demand: nobody waits for that either.
const doubts: readonly Doubt[] = [
  async ({ folders }, signal) => {
    const { unusableModels } = await import('../doctor/model-files.ts')
    const { length } = await unusableModels(new ModelFolders(folders), signal)
    if (length === 0) return undefined
    return `${counted(length, 'model file')} cannot be used; \`comfymesh doctor\` says which and why.`
  },
  async ({ provider, ...settings }, signal) => {
    if (provider === undefined) return undefined
    const { checkDemand } = await import('../doctor/computing.ts')
    const problem = await checkDemand({ ...settings, provider }, signal)
    return problem && `${problem.message}. No model runs here. ${problem.advice}`
  },
]

/** A first prompt that comes with the greeting has the machine to itself until its model is open. */
const PATIENCE_MS = 2000

/** Warns on standard error of whatever is wrong, a moment after the start. */
export async function tellDoubts(settings: AgentSettings, signal: AbortSignal): Promise<void> {
  await sleep(PATIENCE_MS, undefined, { signal }).catch(() => {})
  if (signal.aborted) return
  const { paint } = terminalAt(process.stderr)
  for (const doubt of doubts) {
    doubt(settings, signal).then(
      (warning) => {
        if (warning !== undefined && !signal.aborted) {
          console.error(paint('yellow', `Warning: ${warning}`))
        }
      },
      (error: Error) => {
        if (!signal.aborted) console.error(error.message)
      },
    )
  }
}
