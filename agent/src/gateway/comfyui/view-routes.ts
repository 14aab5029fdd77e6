/** Pictures and other files of the input, output and temp folders. */
import { basename, extname } from 'node:path'
import { containedPath, type FolderSettings, type ModelFolders } from '../../models/folders.ts'
import { type Answer, empty, type Request, type Route } from '../route.ts'
import { BYTES, disposition, fileAnswer, fileAt, isMarkup, mediaTypeOf } from './file-answer.ts'
import { pictureVariant } from './picture-variant.ts'

export function viewRoutes({ folders }: { readonly folders: ModelFolders }): Route[] {
  const handle = (request: Request) => view(request, folders.settings)
  return [{ method: 'GET', path: '/view', handle }]
}

type FileFolder = 'input' | 'output' | 'temp'

export type Located =
  | { readonly path: string; readonly filename: string }
  | { readonly status: number }

/** How a client names a file: what GET /view takes, and the `original_ref` of a mask. */
export interface FileName {
  /** May end in ` [input]`, ` [output]` or ` [temp]`. */
  readonly filename: string | null
  readonly type: string | null
  readonly subfolder: string | null
}

/** ComfyUI's answers: 400 for a bad name or type, 403 for a folder outside, 404 for no file. */
export function locate(given: FileName, folders: FolderSettings): Located {
  if (given.filename === null) return { status: 404 }
  const annotated = /^(.*) \[(input|output|temp)\]$/s.exec(given.filename)
  const name = annotated?.[1] ?? given.filename
  const type = annotated?.[2] ?? given.type ?? 'output'
  if (name === '' || name.startsWith('/') || name.includes('..')) return { status: 400 }
  if (!isFileFolder(type)) return { status: 400 }
  const folder = folders[type]
  const filename = basename(name.replaceAll('\\', '/'))
  // As in Python's paths, `.` and an empty name are the folder itself.
  const subfolder = given.subfolder?.replace(/^(\.\/+)*\.?$/, '') ?? ''
  if (subfolder !== '' && containedPath(folder, subfolder) === undefined) return { status: 403 }
  const path = containedPath(folder, subfolder === '' ? filename : `${subfolder}/${filename}`)
  return path === undefined ? { status: 404 } : { path, filename }
}

export function isFileFolder(type: unknown): type is FileFolder {
  return type === 'input' || type === 'output' || type === 'temp'
}

async function view(request: Request, folders: FolderSettings): Promise<Answer> {
  const [filename, type, subfolder] = ['filename', 'type', 'subfolder'].map((name) =>
    request.query.get(name),
  ) as [string | null, string | null, string | null]
  const located = locate({ filename, type, subfolder }, folders)
  if ('status' in located) return empty(located.status)
  const file = await fileAt(located.path)
  if (file === undefined) return empty(404)
  const variant = await pictureVariant(located.path, request.query)
  if (variant === undefined) {
    const headers = typeHeaders(located.filename, request.headers['sec-fetch-dest'])
    return fileAnswer(located.path, file, headers, request.headers)
  }
  const headers = {
    'x-content-type-options': 'nosniff',
    'content-type': variant.mediaType,
    ...disposition(located.filename),
  }
  return { status: 200, headers, body: variant.bytes }
}

/** A browser must not run a user's markup: it is handed out as bytes to save. */
function typeHeaders(filename: string, destination: string | undefined): Record<string, string> {
  if (!isMarkup(filename))
    return { 'content-type': mediaTypeOf(filename), ...disposition(filename) }
  const kept = { 'cache-control': 'no-store', vary: 'Sec-Fetch-Dest' }
  // As the source of an <img> an SVG runs nothing.
  const isShown = extname(filename).toLowerCase() === '.svg' && destination === 'image'
  return isShown
    ? { ...kept, 'content-type': 'image/svg+xml', ...disposition(filename) }
    : { ...kept, 'content-type': BYTES, ...disposition(filename, 'attachment') }
}
