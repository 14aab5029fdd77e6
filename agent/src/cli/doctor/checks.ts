/** The checks of `comfymesh doctor`: those of the machine, and those that only a command line can make. */
import { type Check, machineChecks } from '../../doctor/checks.ts'
import type { LoadedSettings } from '../settings.ts'
import { checkFrontend, checkPort } from './frontend-and-port.ts'
import { checkMesh } from './mesh.ts'
import { checkSettings } from './settings-sources.ts'

export const checks: readonly Check<LoadedSettings>[] = [
  { name: 'Settings', check: (settings) => checkSettings(settings) },
  ...machineChecks,
  { name: 'Frontend', check: checkFrontend },
  { name: 'Port', check: checkPort },
  { name: 'Mesh', check: checkMesh },
]
