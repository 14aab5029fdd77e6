/**
 * Where models and user files lie: ComfyUI's folder layout, extra_model_paths.yaml included.
 * Names are what a prompt says; paths are what the disk has. Nothing here opens a model.
 */
import { type Dirent, readdirSync, realpathSync, statSync } from 'node:fs'
import { join, posix, win32 } from 'node:path'

/** ComfyUI's keys of model folders, each with the folder names it reads under a model root. */
export const modelKinds = {
  checkpoints: ['checkpoints'],
  configs: ['configs'],
  loras: ['loras'],
  vae: ['vae'],
  embeddings: ['embeddings'],
  text_encoders: ['text_encoders', 'clip'],
  diffusion_models: ['unet', 'diffusion_models'],
  clip_vision: ['clip_vision'],
  style_models: ['style_models'],
  diffusers: ['diffusers'],
  vae_approx: ['vae_approx'],
  controlnet: ['controlnet', 't2i_adapter'],
  gligen: ['gligen'],
  upscale_models: ['upscale_models'],
  latent_upscale_models: ['latent_upscale_models'],
  hypernetworks: ['hypernetworks'],
  photomaker: ['photomaker'],
  classifiers: ['classifiers'],
  model_patches: ['model_patches'],
  audio_encoders: ['audio_encoders'],
} as const satisfies Record<string, readonly string[]>

export type ModelKind = keyof typeof modelKinds

/** The only format that is ever parsed, under both its names; pickles are never opened. */
const MODEL_FILE = /\.(safetensors|sft)$/i

export interface FolderSettings {
  /** Folders per kind, first wins where two hold the same name. Absolute paths. */
  readonly models: { readonly [kind in ModelKind]?: readonly string[] }
  readonly input: string
  readonly output: string
  readonly temp: string
}

/** Resolves names to paths and never lets one leave its folder. Cheap to make anew in any process. */
export class ModelFolders {
  readonly settings: FolderSettings

  constructor(settings: FolderSettings) {
    this.settings = settings
  }

  /** The folders searched for a kind, first wins. */
  foldersOf(kind: ModelKind): readonly string[] {
    return this.settings.models[kind] ?? []
  }

  /** The names of all models of a kind, sorted, subfolders as `sub/name`. */
  list(kind: ModelKind): string[] {
    const names = this.files(kind).map(({ name }) => name)
    return [...new Set(names)].sort(alphabetically)
  }

  /** All models of a kind, folder by folder, those included that one of an earlier folder hides. */
  files(kind: ModelKind): { name: string; folderIndex: number; path: string }[] {
    return this.foldersOf(kind).flatMap((folder, folderIndex) => {
      const names = filesBelow(folder).filter((name) => MODEL_FILE.test(name))
      return names.map((name) => ({ name, folderIndex, path: join(folder, name) }))
    })
  }

  /** The path of a model; both separators are accepted, so a prompt made on Windows finds it. */
  find(kind: ModelKind, name: string): string | undefined {
    if (!MODEL_FILE.test(name)) return undefined
    for (const folder of this.foldersOf(kind)) {
      const path = containedPath(folder, name)
      if (path !== undefined && isFile(path)) return path
    }
    return undefined
  }

  inputFiles(): string[] {
    return filesBelow(this.settings.input).sort(alphabetically)
  }

  /** The path of an input file; `name` may end in ` [input]`, ` [output]` or ` [temp]`. */
  findInput(name: string): string | undefined {
    const annotated = /^(.*) \[(input|output|temp)\]$/s.exec(name)
    const folder = this.settings[(annotated?.[2] ?? 'input') as 'input' | 'output' | 'temp']
    const path = containedPath(folder, annotated?.[1] ?? name)
    return path !== undefined && isFile(path) ? path : undefined
  }
}

/** `..`, and what Windows takes for it or for nothing: it drops trailing dots and spaces. */
const ONLY_DOTS = /^(?!\.$)[. ]+$/

/**
 * What Windows makes something else of: devices, alternate data streams, and names whose last
 * dots and spaces it drops, so that two names are one file.
 */
const ODD_ON_WINDOWS =
  /[<>:"|?*\p{Cc}]|[. ]$|^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|$)/iu

/**
 * `name` below `folder` as an absolute path, or undefined if it would leave the folder by
 * `..`, by being absolute, or by naming a drive, a device or an alternate data stream of Windows.
 * Symbolic links are followed wherever they lead: only the owner of a folder can put one there,
 * and model collections commonly consist of links.
 */
export function containedPath(
  folder: string,
  name: string,
  platform: NodeJS.Platform = process.platform,
): string | undefined {
  const { isAbsolute, relative, resolve, sep } = platform === 'win32' ? win32 : posix
  if (name.includes('\0') || /^([\\/]|[a-zA-Z]:)/.test(name)) return undefined
  const parts = name.split(/[\\/]/).filter((part) => part !== '' && part !== '.')
  if (parts.some((part) => ONLY_DOTS.test(part))) return undefined
  if (platform === 'win32' && parts.some((part) => ODD_ON_WINDOWS.test(part))) return undefined
  const path = resolve(folder, ...parts)
  const inside = relative(folder, path)
  const outside = inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)
  return inside === '' || outside ? undefined : path
}

function alphabetically(a: string, b: string): number {
  const [first, second] = [a.toLowerCase(), b.toLowerCase()]
  if (first === second) return a < b ? -1 : 1
  return first < second ? -1 : 1
}

/** What cannot be examined, such as a link to itself, is none. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/**
 * All files below a folder as names with forward slashes; links are followed, loops are not.
 * A folder that cannot be read counts as empty, so that one of them does not hide the others.
 */
function filesBelow(folder: string, ancestors: ReadonlySet<string> = new Set()): string[] {
  const listing = listingOf(folder)
  if (listing === undefined || ancestors.has(listing.real)) return []
  const visited = new Set([...ancestors, listing.real])
  return listing.entries.flatMap((entry) => {
    if (entry.name.startsWith('.')) return []
    const path = join(folder, entry.name)
    if (entry.isFile() || (entry.isSymbolicLink() && isFile(path))) return [entry.name]
    if (!(entry.isDirectory() || entry.isSymbolicLink())) return []
    return filesBelow(path, visited).map((name) => `${entry.name}/${name}`)
  })
}

/** A folder as it was read. */
interface Listing {
  /** Its path without links. */
  readonly real: string
  readonly entries: readonly Dirent[]
  /** What changes when an entry is added or removed, or another folder takes the name. */
  readonly stamp: string
}

/** What was read already: every prompt asks for all models again. */
const listings = new Map<string, Listing>()

/** A file system that counts in seconds could take two changes within this for one. */
const COARSEST_CLOCK_MS = 3000

/** The entries of a folder; undefined where there is none. Read anew when it has changed. */
function listingOf(folder: string): Listing | undefined {
  try {
    const stats = statSync(folder)
    if (!stats.isDirectory()) return undefined
    const stamp = `${stats.dev}/${stats.ino}/${stats.mtimeMs}/${stats.ctimeMs}`
    const known = listings.get(folder)
    if (known?.stamp === stamp) return known
    const listing = { real: realpathSync(folder), entries: entriesOf(folder), stamp }
    if (Date.now() - stats.mtimeMs > COARSEST_CLOCK_MS) listings.set(folder, listing)
    return listing
  } catch {
    return undefined
  }
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}
