/** The checks of `doctor`, one row each; each looks at one thing and never throws. */
import type { AgentSettings } from '../../agent.ts'
import { checkComputing } from './computing.ts'
import type { Finding } from './finding.ts'
import { checkDisk, checkFolders, checkFrontend, checkPort } from './folders-and-port.ts'
import { checkMemory, checkNode } from './machine.ts'
import { checkModels } from './model-files.ts'
import { checkSettings } from './settings-sources.ts'

type Check = (settings: AgentSettings) => Promise<readonly Finding[]>

const checks: readonly { readonly name: string; readonly check: Check }[] = [
  { name: 'Node.js', check: checkNode },
  { name: 'Memory', check: checkMemory },
  { name: 'Settings', check: (settings) => checkSettings(settings) },
  { name: 'Computing', check: checkComputing },
  { name: 'Models', check: checkModels },
  { name: 'Folders', check: checkFolders },
  { name: 'Frontend', check: checkFrontend },
  { name: 'Disk', check: checkDisk },
  { name: 'Port', check: checkPort },
]

/** Runs the checks one after the other, so that they do not disturb each other's measurements. */
export async function examine(
  settings: AgentSettings,
  report: (finding: Finding) => void,
): Promise<void> {
  for (const { name, check } of checks) {
    try {
      for (const finding of await check(settings)) report(finding)
    } catch (error) {
      const message = `could not be examined: ${error instanceof Error ? error.message : error}`
      report({ check: name, state: 'note', message })
    }
  }
}
