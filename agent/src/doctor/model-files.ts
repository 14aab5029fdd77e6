/** The models: how many of each kind, and which cannot be used. */
import { existsSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describeModel } from '../models/description.ts'
import { ModelFolders, type ModelKind, modelKinds } from '../models/folders.ts'
import { shippedModels } from '../models/model-paths.ts'
import type { ExaminedSettings } from './checks.ts'
import type { Finding } from './finding.ts'

/** The kinds that nodes here load: of the others, files are counted. */
const loadedKinds: readonly ModelKind[] = [
  'checkpoints',
  'loras',
  'vae',
  'embeddings',
  'text_encoders',
  'diffusion_models',
]

const PICKLES = /\.(ckpt|pt|pth|bin)$/i

export async function checkModels({ folders: settings }: ExaminedSettings): Promise<Finding[]> {
  const folders = new ModelFolders(settings)
  const unusable = await unusableModels(folders)
  return [
    countsFinding(folders),
    ...unusable.map(({ name, reason }): Finding => {
      return {
        check: 'Models',
        state: 'note',
        message: reason,
        data: { name, reason },
      }
    }),
    ...pickleFindings(folders),
  ]
}

interface UnusableModel {
  /** With its kind, e.g. `checkpoints/name.safetensors`. */
  readonly name: string
  /** Names the file with its path. */
  readonly reason: string
}

/**
 * The files that look like models and cannot be used. Reads the header of each, one after the other.
 * @param signal ends it early, with what was found so far.
 */
export async function unusableModels(
  folders: ModelFolders,
  signal?: AbortSignal,
): Promise<UnusableModel[]> {
  const found: UnusableModel[] = []
  for (const kind of loadedKinds) {
    for (const name of folders.list(kind)) {
      if (signal?.aborted === true) return found
      const path = folders.find(kind, name)
      if (path === undefined) continue
      const { problem } = await describeModel(kind, path)
      if (problem !== undefined) found.push({ name: `${kind}/${name}`, reason: problem })
    }
  }
  return found
}

function countsFinding(folders: ModelFolders): Finding {
  const kinds = Object.keys(modelKinds) as ModelKind[]
  const counts = Object.fromEntries(kinds.map((kind) => [kind, folders.list(kind).length]))
  const message = kinds
    .filter((kind) => loadedKinds.includes(kind) || counts[kind]! > 0)
    .map((kind) => `${kind}: ${counts[kind]}`)
    .join(', ')
  const searched = folders.foldersOf('checkpoints').filter((folder) => existsSync(folder))
  const data = { counts, searched }
  const own = searched.filter((folder) => relative(shippedModels, folder).startsWith('..'))
  if (counts.checkpoints === 0) {
    const advice = `Put a .safetensors checkpoint into ${folders.foldersOf('checkpoints')[0]}, or name your models folder with --models.`
    return { check: 'Models', state: 'problem', message, advice, data }
  }
  const where = own.length > 0 ? `\ncheckpoints from ${own.join(', ')}` : ''
  if (own.length > 0) return { check: 'Models', state: 'ok', message: message + where, data }
  const advice =
    'Only the small model that ships with comfymesh is here. Name your models folder, or a whole ComfyUI, with --models.'
  return { check: 'Models', state: 'ok', message, advice, data }
}

/** Model files that are never opened, because opening them can run their code. */
function pickleFindings(folders: ModelFolders): Finding[] {
  const found = loadedKinds
    .flatMap((kind) => folders.foldersOf(kind))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
    )
    .filter((path) => PICKLES.test(path))
  if (found.length === 0) return []
  const what =
    found.length === 1
      ? '1 file is not shown, for it is a pickle'
      : `${found.length} files are not shown, for they are pickles`
  const message = `${what}, which can run code: ${found.slice(0, 3).join(', ')}${found.length > 3 ? ', ...' : ''}`
  const advice = 'Use their .safetensors versions, or convert them.'
  return [{ check: 'Models', state: 'note', message, advice, data: { pickles: found } }]
}
