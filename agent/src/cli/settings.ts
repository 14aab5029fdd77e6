/**
 * Finds the settings of an agent: defaults, overridden by the settings file in the data folder,
 * by the environment, by flags. Parsed once here; everybody else trusts the types.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { delimiter, join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import envPaths from 'env-paths'
import { parse } from 'yaml'
import type { AgentSettings } from '../agent.ts'
import { makeFolder } from '../base/make-folder.ts'
import { readExtraModelPaths } from '../models/extra-model-paths.ts'
import { joinModelPaths, modelPathsBelow, modelRoot, shippedModels } from '../models/model-paths.ts'
import {
  type GivenSettings,
  type SettingKey,
  type SettingRow,
  settingRows,
} from './setting-rows.ts'
import { each, parseLayer, type RawSettings, type Refused, throwIt } from './setting-values.ts'
import type { Environment } from './unknown-variables.ts'

export const SETTINGS_FILE = 'comfymesh.yaml'

const DEFAULT_PORT = 8288

/** Where settings may come from; all of it is passed in, so that tests can say it. */
export interface SettingSources {
  readonly flags?: RawSettings
  readonly environment?: Environment
  /** Relative paths of flags and environment are relative to this folder. */
  readonly workingDir?: string
  /** Used where nobody names a data folder. */
  readonly defaultDataDir?: string
  /** Hears of each value that cannot be used and is left out; without it the first one is thrown. */
  readonly refused?: Refused
}

/** The settings of an agent, and which of them a flag or the environment gave: those its user named. */
export interface LoadedSettings extends AgentSettings {
  readonly named: ReadonlySet<SettingKey>
}

const keys = Object.keys(settingRows) as SettingKey[]

/**
 * The settings of the agent of this user on this machine.
 * @throws MeshError `invalid_settings` naming the flag, variable or line and what it may be.
 */
export function loadSettings(sources: SettingSources = {}): LoadedSettings {
  const { workingDir = process.cwd(), refused = throwIt } = sources
  const environment = fromEnvironment(sources.environment ?? process.env, workingDir, refused)
  const flags = parseLayer(sources.flags ?? {}, (row) => `--${row.flag}`, workingDir, refused)
  const dataDir =
    flags.dataDir ??
    environment.dataDir ??
    sources.defaultDataDir ??
    envPaths('comfymesh', { suffix: '' }).data
  const file = fromFile(join(dataDir, SETTINGS_FILE), dataDir, refused)
  const named = { ...environment, ...flags }
  return {
    ...complete({ ...file, ...named }, dataDir, refused),
    named: new Set(Object.keys(named) as SettingKey[]),
  }
}

function complete(given: GivenSettings, dataDir: string, refused: Refused): AgentSettings {
  return {
    name: given.name ?? hostname(),
    dataDir,
    host: given.host ?? '127.0.0.1',
    port: given.port ?? DEFAULT_PORT,
    ...foldersFor(given, dataDir, refused),
    ...(given.frontend !== undefined && { frontend: given.frontend }),
    ...(given.token !== undefined && { token: given.token }),
    ...(given.maxUploadSize !== undefined && { maxUploadBytes: given.maxUploadSize }),
    ...(given.allowHost !== undefined && { allowedHosts: given.allowHost }),
    ...(given.allowOrigin !== undefined && { allowedOrigins: given.allowOrigin }),
    ...(given.threads !== undefined && { threads: given.threads }),
    ...(given.vram !== undefined && { vramBytes: given.vram }),
    ...(given.blobBudget !== undefined && { blobBudgetBytes: given.blobBudget }),
    ...(given.provider !== undefined && { provider: given.provider }),
    ...(given.queueLimit !== undefined && { queueLimit: given.queueLimit }),
    ...(given.logLevel !== undefined && { logLevel: given.logLevel }),
    ...((given.mesh ?? true) && { mesh: meshOptions(given) }),
  }
}

function meshOptions({ meshPort, peer, discovery }: GivenSettings): AgentSettings['mesh'] & {} {
  return {
    ...(meshPort !== undefined && { port: meshPort }),
    peers: peer ?? [],
    discovery: discovery ?? true,
  }
}

/** The user's folders first, then the data folder's, then extra paths, then what ships with us. */
function foldersFor(
  given: GivenSettings,
  dataDir: string,
  refused: Refused,
): Pick<AgentSettings, 'folders' | 'extraModelPaths' | 'userDir'> {
  const roots = each(given.models ?? [], modelRoot, refused)
  const comfyui = roots.find((root) => root.comfyui !== undefined)?.comfyui
  const lookedFor = [dataDir, ...(comfyui === undefined ? [] : [comfyui])]
    .map((folder) => join(folder, 'extra_model_paths.yaml'))
    .filter((file) => existsSync(file))
  const read = (file: string) => ({ file, ...readExtraModelPaths(file) })
  const extras = each(given.extraModelPaths ?? lookedFor, read, refused)
  const folders = {
    models: joinModelPaths(
      ...extras.map((extra) => extra.first),
      ...roots.map((root) => modelPathsBelow(root.models)),
      modelPathsBelow(join(dataDir, 'models')),
      ...extras.map((extra) => extra.last),
      modelPathsBelow(shippedModels),
    ),
    input: given.inputDir ?? join(comfyui ?? dataDir, 'input'),
    output: given.outputDir ?? join(comfyui ?? dataDir, 'output'),
    // Never ComfyUI's own: a temp folder is emptied at every start.
    temp: join(dataDir, 'temp'),
  }
  const extraModelPaths = extras.map(({ file }) => file)
  return { folders, extraModelPaths, userDir: given.userDir ?? join(comfyui ?? dataDir, 'user') }
}

function fromEnvironment(
  environment: Environment,
  workingDir: string,
  refused: Refused,
): GivenSettings {
  const raw: { [K in SettingKey]?: string | string[] } = {}
  for (const key of keys) {
    const row: SettingRow = settingRows[key]
    const text = environment[row.environment]
    if (text === undefined || text === '') continue
    const separator = row.isPath ? delimiter : ','
    raw[key] = row.repeatable ? text.split(separator).filter((part) => part !== '') : text
  }
  return parseLayer(raw, (row) => row.environment, workingDir, refused)
}

function fromFile(file: string, dataDir: string, refused: Refused): GivenSettings {
  if (!existsSync(file)) return {}
  const [content = {}] = each([file], readYaml, refused)
  const raw: { [K in SettingKey]?: string | string[] } = {}
  for (const [name, value] of Object.entries(content)) {
    const key = keys.find((one) => settingRows[one].flag === name && one !== 'dataDir')
    if (key === undefined) {
      const known = keys.filter((one) => one !== 'dataDir').map((one) => settingRows[one].flag)
      const message = `${file}: there is no setting \`${name}\`. There are: ${known.join(', ')}.`
      refused(new MeshError('invalid_settings', message))
    } else if (value !== null) raw[key] = Array.isArray(value) ? value.map(String) : String(value)
  }
  return parseLayer(raw, (row) => `${file}: \`${row.flag}\``, dataDir, refused)
}

function readYaml(file: string): { [name: string]: unknown } {
  let content: unknown
  try {
    content = parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new MeshError(
      'invalid_settings',
      `${file} is not valid YAML: ${(error as Error).message}`,
    )
  }
  if (content === null) return {}
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new MeshError('invalid_settings', `${file} should hold lines such as \`port: 8288\`.`)
  }
  return content as { [name: string]: unknown }
}

/** The settings file as a new data folder gets it: every setting, explained and commented out. */
export function settingsTemplate(): string {
  const rows: SettingRow[] = keys.filter((key) => key !== 'dataDir').map((key) => settingRows[key])
  const blocks = rows.map(
    (row) => `# ${row.description}.\n# Default: ${row.defaults}.\n#${row.flag}: ${row.example}\n`,
  )
  return [
    '# Settings of comfymesh. Environment variables (COMFYMESH_PORT, ...) and flags\n' +
      '# (--port, ...) win over this file. Relative paths are relative to this folder.\n',
    ...blocks,
  ].join('\n')
}

/** Puts the commented settings file where there is none; an unwritable folder is doctor's business. */
export function offerSettingsFile(dataDir: string): void {
  try {
    makeFolder(dataDir)
    writeFileSync(join(dataDir, SETTINGS_FILE), settingsTemplate(), { flag: 'wx' })
  } catch {
    // It exists already, or the agent will say soon that it cannot write here.
  }
}
