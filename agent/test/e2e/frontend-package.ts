/**
 * Official ComfyUI frontends for tests. They are GPL: tests run with them, nothing of them is in
 * this repository. Each version is fetched once, into a folder of the user's caches.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import envPaths from 'env-paths'

const PACKAGE = 'comfyui-frontend-package'

/** Versions that users have, the oldest first; the last is the newest when this was written. */
export const knownVersions = ['1.27.10', '1.36.14', '1.44.19', '1.48.7', '1.58.1'] as const

const DEFAULT_VERSION = '1.44.19'

/** Which versions to test: one, or those that COMFYMESH_TEST_FRONTENDS names (`all`, or a list). */
export function versionsToTest(): readonly string[] {
  const named = process.env.COMFYMESH_TEST_FRONTENDS
  if (named === 'all') return knownVersions
  return named ? named.split(',') : [DEFAULT_VERSION]
}

/** Ways to call pip, the first that there is. */
const pips = [
  ['pip'],
  ['pip3'],
  ['python3', '-m', 'pip'],
  ['python', '-m', 'pip'],
  ['py', '-m', 'pip'],
]

/**
 * The folder to give to `--frontend`, fetched from PyPI where it is not cached.
 * @returns why there is none, where neither cache nor network nor pip has it.
 */
export function frontendPackage(version: string): { folder: string } | { missing: string } {
  const cache =
    process.env.COMFYMESH_TEST_CACHE ?? envPaths('comfymesh-tests', { suffix: '' }).cache
  const folder = join(cache, `frontend-${version}`)
  if (existsSync(folder)) return { folder }
  mkdirSync(cache, { recursive: true })
  // Complete or not there at all, whoever else fetches it at the same time.
  const partial = mkdtempSync(join(cache, 'partial-'))
  const problems: string[] = []
  for (const [program, ...prefix] of pips) {
    const wanted = [
      '--no-deps',
      '--disable-pip-version-check',
      '--target',
      partial,
      `${PACKAGE}==${version}`,
    ]
    const argv = [...prefix, 'install', '--quiet', ...wanted]
    const { status, stderr, error } = spawnSync(program!, argv, { encoding: 'utf8' })
    if (status === 0) {
      if (!existsSync(folder)) renameSync(partial, folder)
      return { folder }
    }
    problems.push(`${program}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`)
  }
  rmSync(partial, { recursive: true, force: true })
  return { missing: `${PACKAGE} ${version} cannot be fetched (${problems.join('; ')})` }
}
