/** The version of this program, as its package says. */
import { readFileSync } from 'node:fs'

/** The same file seen from `src/base` and from `dist/base`. */
const packageFile = new URL('../../package.json', import.meta.url)

export const version: string = JSON.parse(readFileSync(packageFile, 'utf8')).version
