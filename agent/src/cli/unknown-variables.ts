/** Environment variables that look like settings but are none. */
import { closest } from '../base/closest.ts'
import { settingRows } from './setting-rows.ts'

export type Environment = { readonly [name: string]: string | undefined }

/** A variable that looks like a setting of ours and is none. */
interface UnknownVariable {
  readonly name: string
  /** The one that was meant, where one is near. */
  readonly meant?: string
}

const PREFIX = 'COMFYMESH_'

/** What the tests and scripts of this repository read, and no agent. */
const developmentVariables: ReadonlySet<string> = new Set(
  ['BENCH_CHECKPOINT', 'CHROMIUM', 'LONG_TESTS', 'PYTHON', 'TEST_CACHE', 'TEST_FRONTENDS'].map(
    (name) => PREFIX + name,
  ),
)

/** Others may use the prefix for something of their own, so these are no errors. */
export function unknownVariables(environment: Environment): UnknownVariable[] {
  const known: string[] = Object.values(settingRows).map((row) => row.environment)
  const bare = (name: string) => name.slice(PREFIX.length)
  return Object.keys(environment)
    .filter((name) => name.startsWith(PREFIX))
    .filter((name) => !known.includes(name) && !developmentVariables.has(name))
    .map((name) => {
      const meant = closest(bare(name), known.map(bare))
      return { name, ...(meant !== undefined && { meant: PREFIX + meant }) }
    })
}
