/**
 * A file of a user as an HTTP answer: its type, its name, ranges and conditions.
 * Which file is meant, and who may have it, is for the routes.
 */
import { createReadStream, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { extname } from 'node:path'
import type { Answer, Request } from '../route.ts'

/** Types that a browser can show and none of which it runs. */
const mediaTypes: { readonly [extension: string]: string } = {
  '.png': 'image/png',
  '.apng': 'image/apng',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.bmp': 'image/bmp',
  '.avif': 'image/avif',
  '.tif': 'image/tiff',
  '.tiff': 'image/tiff',
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

/** What a browser would run: pages, scripts, styles and XML of every kind. */
const MARKUP = /^\.([xs]?html?|xht|m?js|cjs|css|svgz?|xml|xslt?|xsd|rdf|rss|atom|mathml)$/i

/** What is neither shown nor run but saved. */
export const BYTES = 'application/octet-stream'

/** The media type of a file by its name: bytes, where nothing better is known or safe. */
export function mediaTypeOf(filename: string): string {
  return mediaTypes[extname(filename).toLowerCase()] ?? BYTES
}

/** Whether a browser would run a file of this name, were it given its true type. */
export function isMarkup(filename: string): boolean {
  return MARKUP.test(extname(filename))
}

/** The file at a path, if there is one; what cannot be examined is none. */
export async function fileAt(path: string): Promise<Stats | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() ? found : undefined
}

/** `filename="..."`, as ComfyUI writes it, with the exact name beside it where it is not ASCII. */
export function disposition(filename: string, kind?: 'attachment'): Record<string, string> {
  const plain = filename.replaceAll(/[^\x20-\x7e]|["\\]/g, '_')
  const encoded = encodeURIComponent(filename).replaceAll("'", '%27')
  const parts = [
    ...(kind === undefined ? [] : [kind]),
    `filename="${plain}"`,
    ...(plain === filename ? [] : [`filename*=UTF-8''${encoded}`]),
  ]
  return { 'content-disposition': parts.join('; ') }
}

/** RFC 9110, 13.2.2: a date counts where no tags are given, and knows whole seconds. */
function isKnownAlready(asked: Request['headers'], etag: string, mtimeMs: number): boolean {
  const tags = asked['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  if (tags !== undefined) return tags.includes('*') || tags.includes(etag)
  const sinceMs = Date.parse(asked['if-modified-since'] ?? '')
  return sinceMs >= Math.floor(mtimeMs / 1000) * 1000
}

/**
 * The whole file, the range asked for, or the news that the client has it already.
 * @param headers what is said of the file besides its size and age.
 */
export function fileAnswer(
  path: string,
  { size, mtime, mtimeMs }: Stats,
  headers: { readonly [name: string]: string },
  asked: Request['headers'],
): Answer {
  const etag = `"${Math.trunc(mtimeMs).toString(16)}-${size.toString(16)}"`
  const common = {
    'x-content-type-options': 'nosniff',
    ...headers,
    'last-modified': mtime.toUTCString(),
    etag,
    'accept-ranges': 'bytes',
  }
  if (isKnownAlready(asked, etag, mtimeMs)) return { status: 304, headers: common }
  const range = /^bytes=(\d*)-(\d*)$/.exec(asked.range ?? '')
  if (range === null || range[0] === 'bytes=-' || asked['if-range'] !== undefined) {
    const body = createReadStream(path)
    return { status: 200, headers: { ...common, 'content-length': size }, body }
  }
  const [, first, last] = range as unknown as [string, string, string]
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(size - 1, Number(last))
  if (start > end) return { status: 416, headers: { 'content-range': `bytes */${size}` } }
  const part = {
    'content-range': `bytes ${start}-${end}/${size}`,
    'content-length': end - start + 1,
  }
  const body = createReadStream(path, { start, end })
  return { status: 206, headers: { ...common, ...part }, body }
}
