/**
 * Which folders hold models: the agent's own, the user's `models` folders, those that
 * ComfyUI's extra_model_paths.yaml names, and the one that ships with the program.
 * What lies in them is folders.ts.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MeshError } from '@comfymesh/protocol/errors'
import { parse } from 'yaml'
import { type FolderSettings, type ModelKind, modelKinds } from './folders.ts'

/** Lists of folders per kind, first wins where two hold the same name. */
export type ModelPaths = FolderSettings['models']

const kinds = Object.keys(modelKinds) as ModelKind[]

/** Keys that older ComfyUI versions and other programs' files use. */
const legacyKinds: ReadonlyMap<string, ModelKind> = new Map([
  ['unet', 'diffusion_models'],
  ['clip', 'text_encoders'],
])

/** The models that ship with the program: in its package, or in the repository beside it. */
export const shippedModels = ['../../models', '../../../models']
  .map((folder) => fileURLToPath(new URL(folder, import.meta.url)))
  .find((folder, index, all) => index === all.length - 1 || isFolder(join(folder, 'checkpoints')))!

/** ComfyUI's sub-folders of one `models` folder, whether they exist yet or not. */
export function modelPathsBelow(root: string): ModelPaths {
  return Object.fromEntries(
    kinds.map((kind) => [kind, modelKinds[kind].map((name) => join(root, name))]),
  )
}

/** Joins lists of folders; earlier ones win, a folder named twice is kept once. */
export function joinModelPaths(...all: readonly ModelPaths[]): ModelPaths {
  return Object.fromEntries(
    kinds.map((kind) => [kind, [...new Set(all.flatMap((paths) => paths[kind] ?? []))]]),
  )
}

/** A folder that a user calls his models: ComfyUI's `models`, or the whole ComfyUI around it. */
export interface ModelRoot {
  readonly models: string
  /** Set when the folder was a whole ComfyUI. */
  readonly comfyui?: string
}

/**
 * Recognises a `models` folder or a whole ComfyUI folder.
 * @throws MeshError `invalid_settings` when there is no such folder.
 */
export function modelRoot(folder: string): ModelRoot {
  if (!isFolder(folder)) {
    throw new MeshError(
      'invalid_settings',
      `The models folder ${folder} does not exist. Give ComfyUI's models folder, or a whole ComfyUI folder.`,
    )
  }
  const inner = join(folder, 'models')
  return isFolder(inner) ? { models: inner, comfyui: folder } : { models: folder }
}

export interface ExtraModelPaths {
  /** Folders of sections marked `is_default`: they come before all others. */
  readonly first: ModelPaths
  /** The rest: they come after the user's own. */
  readonly last: ModelPaths
  /** Keys that name no kind of model here, such as `custom_nodes`. */
  readonly ignored: readonly string[]
}

export interface ExpansionContext {
  readonly environment: { readonly [name: string]: string | undefined }
  readonly home: string
  readonly platform: NodeJS.Platform
}

const thisMachine = (): ExpansionContext => ({
  environment: process.env,
  home: homedir(),
  platform: process.platform,
})

/**
 * Reads ComfyUI's extra_model_paths.yaml. Relative paths are relative to the section's
 * `base_path`, and that to the file. A value may name several folders, one a line.
 * @throws MeshError `invalid_settings` when the file is missing or is not such a file.
 */
export function readExtraModelPaths(file: string, context = thisMachine()): ExtraModelPaths {
  const first: Record<string, string[]> = {}
  const last: Record<string, string[]> = {}
  const ignored: string[] = []
  for (const [name, section] of Object.entries(readSections(file))) {
    const { base_path, is_default, ...entries } = section
    const base = resolve(dirname(file), expandPath(String(base_path ?? ''), context))
    const paths = is_default === true ? first : last
    for (const [key, value] of Object.entries(entries)) {
      const kind = legacyKinds.get(key) ?? key
      if (!Object.hasOwn(modelKinds, kind)) ignored.push(key)
      else {
        const folders = linesOf(value, `${name}.${key}`, file)
        paths[kind] ??= []
        paths[kind].push(...folders.map((folder) => resolve(base, expandPath(folder, context))))
      }
    }
  }
  return { first, last, ignored }
}

type Section = { readonly [key: string]: unknown }

function readSections(file: string): { readonly [name: string]: Section } {
  const refuse = (problem: string, cause?: unknown) =>
    new MeshError('invalid_settings', `${file} ${problem}`, { cause })
  if (!existsSync(file)) throw refuse('does not exist.')
  let content: unknown
  try {
    content = parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw refuse(`is not valid YAML: ${(error as Error).message}`, error)
  }
  if (content === null || content === undefined) return {}
  if (!isRecord(content)) throw refuse('holds no sections such as `comfyui:`.')
  const sections = Object.entries(content).filter(([, section]) => section !== null)
  const odd = sections.find(([, section]) => !isRecord(section))
  if (odd) throw refuse(`: \`${odd[0]}\` should be a section with lines such as \`loras: folder\`.`)
  return Object.fromEntries(sections) as { [name: string]: Section }
}

function linesOf(value: unknown, name: string, file: string): string[] {
  if (value === null) return []
  const values = Array.isArray(value) ? value : [value]
  if (!values.every((one) => typeof one === 'string')) {
    throw new MeshError('invalid_settings', `${file}: \`${name}\` should be a folder's path.`)
  }
  return values
    .flatMap((text) => text.split('\n'))
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

/**
 * Expands a leading `~`, `$NAME` and `${NAME}`, and on Windows `%NAME%`, as Python's
 * expanduser and expandvars do; names that are not set stay as they are.
 */
export function expandPath(path: string, context = thisMachine()): string {
  const { environment, home, platform } = context
  const value = (whole: string, name: string) => environment[name] ?? whole
  let expanded = /^~(?=$|[\\/])/.test(path) ? home + path.slice(1) : path
  expanded = expanded.replace(/\$\{([^}]+)\}/g, value).replace(/\$(\w+)/g, value)
  return platform === 'win32' ? expanded.replace(/%([^%]+)%/g, value) : expanded
}

/** The path a user wrote, made absolute against the folder it was written for. */
export function userPath(written: string, relativeTo: string): string {
  const expanded = expandPath(written)
  return isAbsolute(expanded) ? resolve(expanded) : resolve(relativeTo, expanded)
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

const isRecord = (value: unknown): value is { [key: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
