/** Pictures and other files of the input, output and temp folders. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { containedPath, type FolderSettings, type ModelFolders } from '../../models/folders.ts'
import { type Answer, empty, type Request, type Route } from '../route.ts'
import { pictureVariant } from './picture-variant.ts'

export function viewRoutes({ folders }: { readonly folders: ModelFolders }): Route[] {
  const handle = (request: Request) => view(request, folders.settings)
  return [{ method: 'GET', path: '/view', handle }]
}

const mediaTypes: { readonly [extension: string]: string } = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.bmp': 'image/bmp',
  '.avif': 'image/avif',
  '.tif': 'image/tiff',
  '.tiff': 'image/tiff',
  '.svg': 'image/svg+xml',
  '.mp4': 'video/mp4',
  '.webm': 'video/webm',
  '.mov': 'video/quicktime',
  '.mp3': 'audio/mpeg',
  '.wav': 'audio/wav',
  '.flac': 'audio/flac',
  '.ogg': 'audio/ogg',
  '.opus': 'audio/ogg',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
}

/** Everything else is handed out as bytes to save: a browser must not run a user's markup. */
const SAVED_ONLY = {
  'content-type': 'application/octet-stream',
  'cache-control': 'no-store',
  vary: 'Sec-Fetch-Dest',
}

type Located = { readonly path: string; readonly filename: string } | { readonly status: number }

async function view(request: Request, folders: FolderSettings): Promise<Answer> {
  const located = locate(request.query, folders)
  if ('status' in located) return empty(located.status)
  const { path, filename } = located
  const file = await stat(path).catch(() => undefined)
  if (!file?.isFile()) return empty(404)
  const variant = await pictureVariant(path, request.query)
  const common = { 'x-content-type-options': 'nosniff' }
  if (variant !== undefined) {
    const headers = {
      ...common,
      'content-type': variant.mediaType,
      ...disposition(filename, false),
    }
    return { status: 200, headers, body: variant.bytes }
  }
  const headers = {
    ...common,
    ...typeHeaders(filename, request.headers['sec-fetch-dest']),
    'last-modified': file.mtime.toUTCString(),
    etag: `"${Math.trunc(file.mtimeMs).toString(16)}-${file.size.toString(16)}"`,
    'accept-ranges': 'bytes',
  }
  return fileAnswer(path, file.size, headers, request.headers)
}

/** ComfyUI's answers: 400 for a bad name or type, 403 for a folder outside, 404 for no file. */
function locate(query: URLSearchParams, folders: FolderSettings): Located {
  const given = query.get('filename')
  if (given === null || given === '') return { status: 404 }
  const annotated = /^(.*) \[(input|output|temp)\]$/s.exec(given)
  const name = annotated?.[1] ?? given
  const type = annotated?.[2] ?? query.get('type') ?? 'output'
  if (name.startsWith('/') || name.includes('..')) return { status: 400 }
  if (type !== 'input' && type !== 'output' && type !== 'temp') return { status: 400 }
  const subfolder = query.get('subfolder') ?? ''
  const filename = basename(name.replaceAll('\\', '/'))
  const inside = subfolder === '' || containedPath(folders[type], subfolder) !== undefined
  if (!inside) return { status: 403 }
  const path = containedPath(
    folders[type],
    subfolder === '' ? filename : `${subfolder}/${filename}`,
  )
  return path === undefined ? { status: 404 } : { path, filename }
}

function typeHeaders(filename: string, destination: string | undefined): Answer['headers'] {
  const extension = extname(filename).toLowerCase()
  const mediaType = mediaTypes[extension]
  // As the source of an <img> an SVG runs nothing.
  const isSafe = extension === '.svg' ? destination === 'image' : mediaType !== undefined
  return mediaType !== undefined && isSafe
    ? { 'content-type': mediaType, ...disposition(filename, false) }
    : { ...SAVED_ONLY, ...disposition(filename, true) }
}

function disposition(filename: string, attachment: boolean): Record<string, string> {
  const plain = filename.replaceAll(/[^\x20-\x7e]|["\\]/g, '_')
  const encoded = encodeURIComponent(filename).replaceAll("'", '%27')
  const parts = [
    `filename="${plain}"`,
    ...(plain === filename ? [] : [`filename*=UTF-8''${encoded}`]),
  ]
  return { 'content-disposition': [...(attachment ? ['attachment'] : []), ...parts].join('; ') }
}

/** The whole file, the range asked for, or the news that the client has it already. */
function fileAnswer(
  path: string,
  size: number,
  headers: Record<string, string>,
  asked: Request['headers'],
): Answer {
  if (asked['if-none-match'] === headers.etag) return { status: 304, headers }
  const range = /^bytes=(\d*)-(\d*)$/.exec(asked.range ?? '')
  if (range === null || range[0] === 'bytes=-' || asked['if-range'] !== undefined) {
    const body = createReadStream(path)
    return { status: 200, headers: { ...headers, 'content-length': size }, body }
  }
  const [, first, last] = range as unknown as [string, string, string]
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(size - 1, Number(last))
  if (start > end) return { status: 416, headers: { 'content-range': `bytes */${size}` } }
  return {
    status: 206,
    headers: {
      ...headers,
      'content-range': `bytes ${start}-${end}/${size}`,
      'content-length': end - start + 1,
    },
    body: createReadStream(path, { start, end }),
  }
}
