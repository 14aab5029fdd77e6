/**
 * Which folders hold models: the agent's own, the user's `models` folders, and the one that ships
 * with the program. Those that ComfyUI's extra_model_paths.yaml names are extra-model-paths.ts;
 * what lies in them all is folders.ts.
 */
import { existsSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MeshError } from '@comfymesh/protocol/errors'
import { type FolderSettings, type ModelKind, modelKinds } from './folders.ts'

/** Lists of folders per kind, first wins where two hold the same name. */
export type ModelPaths = FolderSettings['models']

const kinds = Object.keys(modelKinds) as ModelKind[]

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
    const problem = existsSync(folder) ? 'is a file' : 'does not exist'
    throw new MeshError(
      'invalid_settings',
      `The models folder ${folder} ${problem}. Give ComfyUI's models folder, or a whole ComfyUI folder.`,
    )
  }
  const inner = join(folder, 'models')
  return isFolder(inner) ? { models: inner, comfyui: folder } : { models: folder }
}

export interface ExpansionContext {
  readonly environment: { readonly [name: string]: string | undefined }
  readonly home: string
  readonly platform: NodeJS.Platform
}

export const thisMachine = (): ExpansionContext => ({
  environment: process.env,
  home: homedir(),
  platform: process.platform,
})

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
