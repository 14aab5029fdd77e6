/** How ComfyUI names the files it saves (its `get_save_image_path`). Pure. */
import { MeshError } from '@comfymesh/protocol/errors'
import { containedPath } from '../models/folders.ts'

export interface SaveTarget {
  /** Below the folder, with forward slashes; '' for the folder itself. */
  readonly subfolder: string
  /** The name before its counter; may still hold `%batch_num%`. */
  readonly basename: string
}

export interface NamedPicture {
  readonly filenamePrefix: string
  readonly width: number
  readonly height: number
}

/**
 * The subfolder and base name that a prefix asks for, its tokens filled in.
 * @param now local time, for `%year%` and the like.
 * @throws MeshError `node_failed` when the prefix leads out of the folder.
 */
export function saveTarget(picture: NamedPicture, folder: string, now: Date): SaveTarget {
  const prefix = fillTokens(picture, now)
  const isAbsolute = /^([\\/]|[a-zA-Z]:)/.test(prefix)
  const parts = normalised(prefix).map(portable)
  const basename = parts.at(-1) ?? '.'
  const subfolder = parts.slice(0, -1).join('/')
  const isInside = parts.length === 0 || containedPath(folder, parts.join('/')) !== undefined
  if (isAbsolute || !isInside) {
    throw new MeshError(
      'node_failed',
      `**** ERROR: Saving image outside the output folder is not allowed.\n filename_prefix: ${prefix}\n output_dir: ${folder}`,
    )
  }
  return { subfolder, basename }
}

/** The name of one picture, e.g. `ComfyUI_00001_.png`. */
export function fileName(
  { basename }: SaveTarget,
  batchIndex: number,
  counter: number,
  extension: string,
): string {
  const name = basename.replaceAll('%batch_num%', String(batchIndex))
  return `${name}_${String(counter).padStart(5, '0')}_.${extension}`
}

/**
 * One more than the highest counter among a folder's files. As in ComfyUI a number
 * right after `<name>_` counts, up to the next `_` or the extension.
 * @param ignoreCase on platforms whose file names do.
 */
export function nextCounter(
  names: readonly string[],
  basename: string,
  ignoreCase: boolean,
): number {
  const fold = (text: string) => (ignoreCase ? text.toLowerCase() : text)
  const start = fold(`${basename}_`)
  let highest = 0
  for (const name of names) {
    if (!fold(name).startsWith(start)) continue
    const counter = Number(/^\d+(?=[_.]|$)/.exec(name.slice(start.length))?.[0] ?? 0)
    // What is too large to count on from is no counter of ours.
    if (Number.isSafeInteger(counter)) highest = Math.max(highest, counter)
  }
  return highest + 1
}

function fillTokens({ filenamePrefix, width, height }: NamedPicture, now: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const tokens: ReadonlyMap<string, string> = new Map([
    ['width', String(width)],
    ['height', String(height)],
    ['year', String(now.getFullYear())],
    ['month', two(now.getMonth() + 1)],
    ['day', two(now.getDate())],
    ['hour', two(now.getHours())],
    ['minute', two(now.getMinutes())],
    ['second', two(now.getSeconds())],
  ])
  return filenamePrefix.replaceAll(/%(\w+)%/g, (whole, token) => tokens.get(token) ?? whole)
}

/** The parts of a path without `.`, empty ones, and `x/..`; what climbs out keeps its `..`. */
function normalised(path: string): string[] {
  const parts: string[] = []
  for (const part of path.split(/[\\/]/)) {
    if (part === '' || part === '.') continue
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop()
    else parts.push(part)
  }
  return parts
}

/** Characters that Windows forbids in names become `_` there; `:` would even hide the file. */
function portable(name: string): string {
  return process.platform === 'win32' ? name.replaceAll(/[<>:"|?*]/g, '_') : name
}
