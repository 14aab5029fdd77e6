/**
 * ComfyUI's extra_model_paths.yaml: the folders that it names, and what of it is in vain.
 * ComfyUI passes over folders that are missing and keys that nobody reads, so both are doubts here
 * and no errors; only what is no such file at all is refused.
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { parse } from 'yaml'
import { closest } from '../base/closest.ts'
import { type ModelKind, modelKinds } from './folders.ts'
import { type ExpansionContext, expandPath, type ModelPaths, thisMachine } from './model-paths.ts'

/** Keys that older ComfyUI versions and other programs' files use. */
const legacyKinds: ReadonlyMap<string, ModelKind> = new Map([
  ['unet', 'diffusion_models'],
  ['clip', 'text_encoders'],
])

interface ExtraModelPaths {
  /** Folders of sections marked `is_default`: they come before all others. */
  readonly first: ModelPaths
  /** The rest: they come after the user's own. */
  readonly last: ModelPaths
}

/**
 * Reads ComfyUI's extra_model_paths.yaml. Relative paths are relative to the section's
 * `base_path`, and that to the file. A value may name several folders, one a line.
 * @throws MeshError `invalid_settings` when the file is missing or is not such a file.
 */
export function readExtraModelPaths(file: string, context = thisMachine()): ExtraModelPaths {
  const first: Record<string, string[]> = {}
  const last: Record<string, string[]> = {}
  for (const { isDefault, entries } of readSections(file, context)) {
    const paths = isDefault ? first : last
    for (const { kind, folders } of entries) {
      if (kind === undefined) continue
      paths[kind] ??= []
      paths[kind].push(...folders)
    }
  }
  return { first, last }
}

/** A line of the file that does nothing. */
interface PathDoubt {
  /** As the file calls it, e.g. `comfyui.loras`. */
  readonly name: string
  readonly message: string
  /** What to do about it. */
  readonly advice: string
}

/**
 * What of the file does nothing: folders that are not there, and keys that look like a misspelt
 * kind of model. Other keys are for node packs, and no doubt. Asks the disk, so it is as of now.
 * @throws MeshError as readExtraModelPaths
 */
export function doubtsAboutPaths(file: string, context = thisMachine()): PathDoubt[] {
  return readSections(file, context).flatMap(({ name, base, entries }) => {
    const misspelt = entries.flatMap(({ kind, key }) =>
      kind === undefined ? misspeltKind(`${name}.${key}`, key) : [],
    )
    const wrongBase = base.isGiven ? trouble(`${name}.base_path`, base.folder) : []
    // One word about the base says it all.
    if (wrongBase.length > 0) return [...wrongBase, ...misspelt]
    const wrong = entries.flatMap(({ key, folders }) =>
      folders.flatMap((folder) => trouble(`${name}.${key}`, folder)),
    )
    return [...wrong, ...misspelt]
  })
}

/** What keeps a folder from being read, if anything does. */
function trouble(name: string, folder: string): PathDoubt[] {
  const found = statusOf(folder)
  if (found === 'folder') return []
  const message = `names ${folder}, which ${found}`
  return [{ name, message, advice: 'Make the folder, or mend or remove this line.' }]
}

function statusOf(path: string): string {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'is no folder'
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    return ['ENOENT', 'ENOTDIR'].includes(code) ? 'does not exist' : `cannot be read (${code})`
  }
}

function misspeltKind(name: string, key: string): PathDoubt[] {
  const meant = closest(key, [...Object.keys(modelKinds), ...legacyKinds.keys()])
  if (meant === undefined) return []
  return [{ name, message: 'is no kind of model', advice: `Did you mean \`${meant}\`?` }]
}

interface Section {
  readonly name: string
  readonly isDefault: boolean
  readonly base: { readonly folder: string; readonly isGiven: boolean }
  readonly entries: readonly {
    readonly key: string
    /** Absent where the key names no kind of model here, such as `custom_nodes`. */
    readonly kind?: ModelKind
    /** Absolute; empty without a kind. */
    readonly folders: readonly string[]
  }[]
}

function readSections(file: string, context: ExpansionContext): Section[] {
  return Object.entries(readYaml(file)).map(([name, { base_path, is_default, ...lines }]) => {
    const written = baseOf(base_path, `${name}.base_path`, file)
    const base = resolve(dirname(file), expandPath(written, context))
    const entries = Object.entries(lines).map(([key, value]) => {
      const kind = legacyKinds.get(key) ?? key
      if (!isKind(kind)) return { key, folders: [] }
      const folders = linesOf(value, `${name}.${key}`, file)
      return { key, kind, folders: folders.map((one) => resolve(base, expandPath(one, context))) }
    })
    // Whatever Python takes for true.
    const isDefault = Boolean(is_default)
    return { name, isDefault, base: { folder: base, isGiven: written !== '' }, entries }
  })
}

const isKind = (key: string): key is ModelKind => Object.hasOwn(modelKinds, key)

function readYaml(file: string): { readonly [name: string]: { readonly [key: string]: unknown } } {
  const content = parsed(file)
  if (content === null || content === undefined) return {}
  if (!isRecord(content)) throw refusal(`${file} holds no sections such as \`comfyui:\`.`)
  const sections = Object.entries(content).filter(([, section]) => section !== null)
  return Object.fromEntries(
    sections.map(([name, section]) => {
      if (isRecord(section)) return [name, section]
      throw refusal(
        `${file}: \`${name}\` should be a section with lines such as \`loras: folder\`.`,
      )
    }),
  )
}

function parsed(file: string): unknown {
  const text = textOf(file)
  try {
    return parse(text)
  } catch (error) {
    throw refusal(`${file} is not valid YAML: ${(error as Error).message}`, error)
  }
}

function textOf(file: string): string {
  if (statusOf(file) === 'folder') {
    throw refusal(
      `${file} is a folder. Name the file in it, such as extra_model_paths.yaml; a folder of models is named with --models.`,
    )
  }
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const what = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`
    throw refusal(`${file} ${what}.`, error)
  }
}

function refusal(message: string, cause?: unknown): MeshError {
  return new MeshError('invalid_settings', message, { cause })
}

/** A folder may well be called 5. */
function baseOf(value: unknown, name: string, file: string): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  throw refusal(`${file}: \`${name}\` should be a folder's path.`)
}

function linesOf(value: unknown, name: string, file: string): string[] {
  if (value === null) return []
  const values = Array.isArray(value) ? value : [value]
  if (!values.every((one) => typeof one === 'string')) {
    throw refusal(`${file}: \`${name}\` should be a folder's path.`)
  }
  return values
    .flatMap((text) => text.split('\n'))
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
