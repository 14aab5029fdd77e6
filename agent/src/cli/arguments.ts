/** A command's arguments: what it takes, and what the user gave. */
import { parseArgs } from 'node:util'
import { MeshError } from '@comfymesh/protocol/errors'
import { closest } from '../base/closest.ts'
import { type SettingKey, type SettingRow, settingRows } from './setting-rows.ts'
import type { RawSettings } from './setting-values.ts'

/** An option of a command, one row. */
export interface OptionRow {
  readonly flag: string
  /** What stands for the value in the help; an option without one is a switch. */
  readonly placeholder?: string
  readonly description: string
  readonly defaults?: string
  readonly repeatable?: boolean
}

export interface Arguments {
  readonly positionals: readonly string[]
  readonly values: {
    readonly [flag: string]: string | boolean | readonly (string | boolean)[] | undefined
  }
}

/** What a user can do wrong on the command line; ends with exit code 2. */
export class UsageError extends Error {}

/** The settings of an agent as options. */
export const settingOptions: readonly OptionRow[] = Object.values(settingRows)

/** @throws UsageError naming the option and, for a misspelt one, what may have been meant. */
export function parseArguments(rows: readonly OptionRow[], argv: readonly string[]): Arguments {
  const options = Object.fromEntries(
    [...rows, { flag: 'help', description: '' } satisfies OptionRow].map((row: OptionRow) => [
      row.flag,
      {
        type: row.placeholder === undefined ? ('boolean' as const) : ('string' as const),
        ...(row.flag === 'help' && { short: 'h' }),
        ...(row.repeatable && { multiple: true }),
      },
    ]),
  )
  try {
    const parsed = parseArgs({
      args: joinNumbers(argv, rows),
      options,
      allowPositionals: true,
      strict: true,
    })
    return { positionals: parsed.positionals, values: parsed.values }
  } catch (error) {
    throw new UsageError(readableProblem(error as NodeJS.ErrnoException, rows))
  }
}

/** `--seed -1` as `--seed=-1`: no option is called by a number, so it can only be meant as the value. */
function joinNumbers(argv: readonly string[], rows: readonly OptionRow[]): string[] {
  const takingValues = rows.filter((row) => row.placeholder !== undefined)
  const flags = new Set(takingValues.map((row) => `--${row.flag}`))
  const joined: string[] = []
  for (const word of argv) {
    const before = joined.at(-1)
    const isValue = before !== undefined && flags.has(before) && /^-\d/.test(word)
    if (isValue) joined[joined.length - 1] = `${before}=${word}`
    else joined.push(word)
  }
  return joined
}

function readableProblem(error: NodeJS.ErrnoException, rows: readonly OptionRow[]): string {
  const given = /'(--?[^' ]+)/.exec(error.message)?.[1] ?? ''
  if (error.code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
    const row = rows.find(({ flag }) => given === `--${flag}`)
    if (row?.placeholder === undefined) return `${given} takes no value.`
    const how = `${given} needs a value: ${given} ${row.placeholder}.`
    // Of the two, only what is ambiguous has a next word.
    return /ambiguous/.test(error.message)
      ? `${how} One that begins with - is written ${given}=-...`
      : how
  }
  const meant = closest(
    given.replace(/^-+/, ''),
    rows.map((row) => row.flag),
  )
  return `There is no option ${given}${meant === undefined ? '.' : `; did you mean --${meant}?`}`
}

export function textOf({ values }: Arguments, flag: string): string | undefined {
  const value = values[flag]
  return typeof value === 'string' ? value : undefined
}

export function textsOf({ values }: Arguments, flag: string): readonly string[] {
  const value = values[flag]
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

export const isGiven = ({ values }: Arguments, flag: string): boolean => values[flag] === true

/** The options that are settings of an agent, under their keys. */
export function settingFlags(given: Arguments): RawSettings {
  const raw: { [K in SettingKey]?: string | readonly string[] } = {}
  for (const [key, row] of Object.entries<SettingRow>(settingRows)) {
    const value = row.repeatable ? textsOf(given, row.flag) : textOf(given, row.flag)
    if (value !== undefined && value.length > 0) raw[key as SettingKey] = value
  }
  return raw
}

/** The one positional argument of a command. @throws UsageError when there is none or another. */
export function onlyPositional({ positionals }: Arguments, what: string): string {
  const [first, second] = positionals
  if (first === undefined) throw new UsageError(`Say which ${what}.`)
  if (second !== undefined) throw new UsageError(`There is one ${what} too many: '${second}'.`)
  return first
}

/** The exit code that an error ends with: 2 when the command line or a settings file is wrong. */
export function exitCodeOf(error: unknown): number {
  const isUsage = error instanceof UsageError
  const isSetting = error instanceof MeshError && error.code === 'invalid_settings'
  return isUsage || isSetting ? 2 : 1
}
