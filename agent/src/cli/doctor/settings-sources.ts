/** Where the settings come from, and variables that look like settings but are none. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentSettings } from '../../agent.ts'
import { closest } from '../../base/closest.ts'
import type { Finding } from '../../doctor/finding.ts'
import { type SettingRow, settingRows } from '../setting-rows.ts'
import { SETTINGS_FILE } from '../settings.ts'

const PREFIX = 'COMFYMESH_'

export async function checkSettings(
  { dataDir }: Pick<AgentSettings, 'dataDir'>,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Finding[]> {
  const known = Object.values<SettingRow>(settingRows).map((row) => row.environment)
  const given = Object.keys(environment).filter((name) => name.startsWith(PREFIX))
  const file = join(dataDir, SETTINGS_FILE)
  const sources = [
    existsSync(file) ? file : `no ${SETTINGS_FILE} in ${dataDir}`,
    ...given.filter((name) => known.includes(name)),
  ]
  const unknown = given.filter((name) => !known.includes(name))
  return [
    { check: 'Settings', state: 'ok', message: sources.join(', '), data: { sources } },
    ...unknown.map((name): Finding => {
      const meant = closest(
        name.slice(PREFIX.length),
        known.map((one) => one.slice(PREFIX.length)),
      )
      const message = `the variable ${name} is no setting and has no effect`
      const advice = meant && `Did you mean ${PREFIX}${meant}?`
      return { check: 'Settings', state: 'note', message, ...(advice && { advice }) }
    }),
  ]
}
