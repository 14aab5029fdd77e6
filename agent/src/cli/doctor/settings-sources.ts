/** Where the settings come from, and variables that look like settings but are none. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentSettings } from '../../agent.ts'
import type { Finding } from '../../doctor/finding.ts'
import { type SettingRow, settingRows } from '../setting-rows.ts'
import { SETTINGS_FILE } from '../settings.ts'
import { unknownVariables } from '../unknown-variables.ts'

export async function checkSettings(
  { dataDir }: Pick<AgentSettings, 'dataDir'>,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Finding[]> {
  const known = Object.values<SettingRow>(settingRows).map((row) => row.environment)
  const file = join(dataDir, SETTINGS_FILE)
  const sources = [
    existsSync(file) ? file : `no ${SETTINGS_FILE} in ${dataDir}`,
    ...Object.keys(environment).filter((name) => known.includes(name)),
  ]
  return [
    { check: 'Settings', state: 'ok', message: sources.join(', '), data: { sources } },
    ...unknownVariables(environment).map(({ name, meant }): Finding => {
      const message = `the variable ${name} is no setting and has no effect`
      const advice = meant && `Did you mean ${meant}?`
      return { check: 'Settings', state: 'note', message, ...(advice && { advice }) }
    }),
  ]
}
