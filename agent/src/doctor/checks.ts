/**
 * What is well on this machine and what is not, with what to do about it: checks that `comfymesh
 * doctor` and the coordinator page share, one row each. What only a command line can examine (its
 * settings, the port before an agent has it) is in cli/doctor.
 */
import type { FolderSettings } from '../models/folders.ts'
import { checkComputing } from './computing.ts'
import type { Finding } from './finding.ts'
import { checkDisk, checkFolders } from './folders.ts'
import { checkMemory, checkNode } from './machine.ts'
import { checkModels } from './model-files.ts'
import { checkModelPaths } from './model-paths.ts'

/** What of an agent's settings is examined. */
export interface ExaminedSettings {
  readonly dataDir: string
  readonly folders: FolderSettings
  /** Files in the format of ComfyUI's extra_model_paths.yaml that some of the folders are from. */
  readonly extraModelPaths?: readonly string[]
  /** CPU threads of the model sessions. */
  readonly threads?: number
  /** The only provider that may be used; the best that works where absent. */
  readonly provider?: string
}

/** Looks at one thing and never changes it. */
export interface Check<Settings> {
  readonly name: string
  readonly check: (settings: Settings) => Promise<readonly Finding[]>
}

export const machineChecks: readonly Check<ExaminedSettings>[] = [
  { name: 'Node.js', check: checkNode },
  { name: 'Memory', check: checkMemory },
  { name: 'Computing', check: checkComputing },
  { name: 'Models', check: checkModels },
  { name: 'Extra paths', check: checkModelPaths },
  { name: 'Folders', check: checkFolders },
  { name: 'Disk', check: checkDisk },
]

/** Runs the checks one after the other, so that they do not disturb each other's measurements. */
export async function examine<Settings>(
  checks: readonly Check<Settings>[],
  settings: Settings,
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
