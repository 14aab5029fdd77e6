/** Texts become values of settings by the rows of their table; what cannot is refused one by one. */
import { MeshError } from '@comfymesh/protocol/errors'
import { userPath } from '../models/model-paths.ts'
import {
  type GivenSettings,
  type SettingKey,
  type SettingRow,
  settingRows,
} from './setting-rows.ts'

/** Values as text, before anything is known about them. */
export type RawSettings = { readonly [K in SettingKey]?: string | readonly string[] }

/** Hears of a value that cannot be used: throws that, or lets the value be left out. */
export type Refused = (problem: MeshError) => void

export const throwIt: Refused = (problem) => {
  throw problem
}

/** What becomes of each value; those that cannot be used are refused. */
export function each<From, To>(
  values: readonly From[],
  read: (value: From) => To,
  refused: Refused,
): To[] {
  return values.flatMap((value) => {
    try {
      return [read(value)]
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      refused(error)
      return []
    }
  })
}

/** Parses one source's texts; `nameOf` says how that source calls a setting. */
export function parseLayer(
  raw: RawSettings,
  nameOf: (row: SettingRow) => string,
  relativeTo: string,
  refused: Refused,
): GivenSettings {
  const given: { [key: string]: unknown } = {}
  for (const [key, value] of Object.entries(raw)) {
    const row: SettingRow = settingRows[key as SettingKey]
    const parse = (one: typeof value) => parseSetting(row, one, nameOf(row), relativeTo)
    const [parsed] = each([value], parse, refused)
    if (parsed !== undefined) given[key] = parsed
  }
  return given
}

function parseSetting(
  row: SettingRow,
  value: string | readonly string[],
  name: string,
  relativeTo: string,
): unknown {
  const texts = typeof value === 'string' ? [value] : value
  if (!row.repeatable && texts.length !== 1) {
    throw new MeshError('invalid_settings', `${name} takes one value.`)
  }
  const parsed = texts.map((text) => parseOne(row, text, name, relativeTo))
  return row.repeatable ? parsed : parsed[0]
}

function parseOne(row: SettingRow, text: string, name: string, relativeTo: string): unknown {
  const result = row.schema.safeParse(text)
  if (!result.success) {
    const problem = result.error.issues[0]?.message ?? 'is not acceptable'
    const given = row.isSecret ? 'what was given' : `'${text}'`
    throw new MeshError('invalid_settings', `${name} ${problem}, not ${given}.`)
  }
  return row.isPath ? userPath(result.data as string, relativeTo) : result.data
}
