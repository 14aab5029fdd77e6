/**
 * Forms with files (multipart/form-data, RFC 7578), taken apart where they lie: files are views of
 * the body. The platform's own parser copies each three times and takes seconds for a large one.
 */
import type { Request } from '../route.ts'

export interface FormFile {
  readonly name: string
  readonly bytes: Buffer
}

export interface Form {
  /** The text of the first field of this name that has no file. */
  text(field: string): string | undefined
  /** The first file of this name. */
  file(field: string): FormFile | undefined
}

interface Part {
  readonly field: string
  readonly filename: string | undefined
  readonly bytes: Buffer
}

/** Uploads have five. */
const MAX_PARTS = 100

/** Of one part; file names are shorter than this on every disk. */
const MAX_HEAD_BYTES = 16 * 1024

const LINE_END = '\r\n'
const HEAD_END = '\r\n\r\n'

/** @returns undefined when the body is no whole form, or one of more parts than anybody sends. */
export function readForm({ headers, body }: Pick<Request, 'headers' | 'body'>): Form | undefined {
  const boundary = boundaryOf(headers['content-type'] ?? '')
  const parts = boundary === undefined ? undefined : readParts(body, boundary)
  if (parts === undefined) return undefined
  return {
    text: (field) => {
      const part = parts.find((one) => one.field === field && one.filename === undefined)
      return part?.bytes.toString('utf8')
    },
    file: (field) => {
      const part = parts.find((one) => one.field === field && one.filename !== undefined)
      return part && { name: part.filename!, bytes: part.bytes }
    },
  }
}

function boundaryOf(contentType: string): string | undefined {
  if (!/^multipart\/form-data\s*;/i.test(contentType)) return undefined
  const [, quoted, plain] =
    /;\s*boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))/i.exec(contentType) ?? []
  return quoted ?? plain
}

function readParts(body: Buffer, boundary: string): Part[] | undefined {
  const delimiter = Buffer.from(`${LINE_END}--${boundary}`)
  const parts: Part[] = []
  // The first delimiter has no line before it, unless there is a preamble.
  const first = delimiter.subarray(LINE_END.length)
  let at = body.indexOf(first)
  if (at < 0 || at > MAX_HEAD_BYTES) return undefined
  at += first.length
  while (parts.length < MAX_PARTS) {
    if (body.toString('latin1', at, at + 2) === '--') return parts
    const lineEnd = body.indexOf(LINE_END, at)
    if (lineEnd < 0) return undefined
    const head = body.subarray(lineEnd, lineEnd + MAX_HEAD_BYTES)
    const headEnd = head.indexOf(HEAD_END)
    if (headEnd < 0) return undefined
    const start = lineEnd + headEnd + HEAD_END.length
    // Right where the head ends, when the part is empty.
    const end = body.indexOf(delimiter, start - LINE_END.length)
    const part = partOf(
      head.toString('utf8', 0, headEnd),
      body.subarray(start, Math.max(start, end)),
    )
    if (end < 0 || part === undefined) return undefined
    parts.push(part)
    at = end + delimiter.length
  }
  return undefined
}

function partOf(head: string, bytes: Buffer): Part | undefined {
  const disposition = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? ''
  const field = parameterOf(disposition, 'name')
  return field === undefined
    ? undefined
    : { field, filename: parameterOf(disposition, 'filename'), bytes }
}

/** As browsers write it, with %22 for a quote; as curl does, with \"; and as Python, `name*=utf-8''...`. */
function parameterOf(disposition: string, name: string): string | undefined {
  const extended = new RegExp(`;\\s*${name}\\*=utf-8'[^']*'([^;\\s]*)`, 'i').exec(disposition)?.[1]
  if (extended !== undefined) return unescaped(extended, /(?:%[0-9a-f]{2})+/gi)
  const [, quoted, plain] =
    new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]*))`, 'i').exec(disposition) ?? []
  if (quoted === undefined) return plain
  return unescaped(quoted.replaceAll(/\\(["\\])/g, '$1'), /%(?:22|0a|0d)/gi)
}

function unescaped(text: string, escapes: RegExp): string {
  return text.replaceAll(escapes, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString())
}
