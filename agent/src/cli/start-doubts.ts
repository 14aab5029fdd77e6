/** What an agent finds out after its greeting, since it takes longer than anybody would wait for it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AgentSettings } from '../agent.ts'
import { counted } from '../base/duration.ts'
import { doubtsAboutPaths } from '../models/extra-model-paths.ts'
import { ModelFolders } from '../models/folders.ts'
import { terminalAt } from './terminal.ts'

/** Looks at one thing. @param signal ends it early. @returns what to warn of. */
type Doubt = (settings: AgentSettings, signal: AbortSignal) => Promise<readonly string[]>

const SEE_DOCTOR = 'cannot be used; `comfymesh doctor` says which and why.'

// What only they need is loaded on demand: nobody waits for that either.
const doubts: readonly Doubt[] = [
  async ({ extraModelPaths = [] }) =>
    extraModelPaths.flatMap((file) => {
      const { length } = doubtsAboutPaths(file)
      const lines = counted(length, 'folder or key', 'folders or keys')
      return length === 0 ? [] : [`${lines} in ${file} ${SEE_DOCTOR}`]
    }),
  async ({ folders }, signal) => {
    const { unusableModels } = await import('../doctor/model-files.ts')
    const { length } = await unusableModels(new ModelFolders(folders), signal)
    return length === 0 ? [] : [`${counted(length, 'model file')} ${SEE_DOCTOR}`]
  },
  async ({ provider, ...settings }, signal) => {
    if (provider === undefined) return []
    const { checkDemand } = await import('../doctor/computing.ts')
    const problem = await checkDemand({ ...settings, provider }, signal)
    return problem ? [`${problem.message}. No model runs here. ${problem.advice}`] : []
  },
]

/** A first prompt that comes with the greeting has the machine to itself until its model is open. */
const PATIENCE_MS = 2000

interface DoubtOptions {
  /** Ends it early, and with it every word of it. */
  readonly signal: AbortSignal
  readonly patienceMs?: number
}

/** Warns on standard error of whatever is wrong, a moment after the start. */
export async function tellDoubts(
  settings: AgentSettings,
  { signal, patienceMs = PATIENCE_MS }: DoubtOptions,
): Promise<void> {
  await sleep(patienceMs, undefined, { signal }).catch(() => {})
  if (signal.aborted) return
  const { paint } = terminalAt(process.stderr)
  const say = (line: string) => {
    if (!signal.aborted) console.error(line)
  }
  for (const doubt of doubts) {
    doubt(settings, signal).then(
      (warnings) => {
        for (const warning of warnings) say(paint('yellow', `Warning: ${warning}`))
      },
      (error: Error) => say(error.message),
    )
  }
}
