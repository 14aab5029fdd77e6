/**
 * The texts inside PNG files, where ComfyUI keeps the prompt and the workflow.
 * Files may come from strangers: nothing here trusts a length, and nothing
 * inflates without a limit. Specification: https://www.w3.org/TR/png-3/#11textinfo
 */
import { crc32, inflateSync } from 'node:zlib'
import { MeshError } from '@comfymesh/protocol/errors'

export type PngText = readonly [keyword: string, text: string]

const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10)

/** Length, type and checksum of a chunk. */
const CHUNK_OVERHEAD_BYTES = 12

/** Of one file's texts after inflating; workflows of thousands of nodes stay below. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024

/** A file that was damaged on its way has one. */
const MAX_BROKEN = 8

/** The specification's. */
const MAX_KEYWORD_BYTES = 79

interface Chunk {
  readonly type: string
  readonly start: number
  readonly data: Uint8Array
  readonly checksum: number
}

/**
 * A copy of the PNG file with the texts before its pixels, in their order: as tEXt, or as
 * iTXt where Latin-1 cannot write them. Entries whose keyword no PNG can hold are left out,
 * because a picture is worth more than a label on it.
 * @throws MeshError `malformed_file` when these are not the bytes of a PNG file.
 */
export function insertPngText(png: Uint8Array, texts: readonly PngText[]): Uint8Array {
  for (const chunk of chunksOf(png)) {
    if (chunk.type !== 'IDAT') continue
    const added = texts.filter(([keyword]) => isKeyword(keyword)).map(encodeText)
    return Buffer.concat([png.subarray(0, chunk.start), ...added, png.subarray(chunk.start)])
  }
  throw malformed('it has no pixels')
}

/**
 * All texts of a PNG file, in the file's order (tEXt, zTXt and iTXt). Text chunks with a
 * wrong checksum or an unknown form are skipped, a few of them.
 * @throws MeshError `malformed_file` when these are not the bytes of a PNG file, or when its
 *   texts are larger than 64 MiB.
 */
export function readPngText(png: Uint8Array): PngText[] {
  const texts: PngText[] = []
  let bytesLeft = MAX_TEXT_BYTES
  let brokenLeft = MAX_BROKEN
  for (const { type, data, checksum } of chunksOf(png)) {
    const decode = decoders[type]
    if (decode === undefined || crc32(data, crc32(type)) !== checksum) continue
    const text = decode(data, bytesLeft)
    if (text === undefined) {
      // One that breaks off at its end was inflated all the same.
      brokenLeft -= 1
      if (brokenLeft < 0) throw malformed('many of its texts are broken')
      continue
    }
    bytesLeft -= text[0].length + text[1].length
    if (bytesLeft < 0) throw tooLarge()
    texts.push(text)
  }
  return texts
}

/** Whether the bytes begin as those of a PNG file do. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte)
}

/** The chunks up to the end of the file or the first that does not fit into it. */
function* chunksOf(png: Uint8Array): Generator<Chunk> {
  if (!isPng(png)) throw malformed('it does not begin as one')
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength)
  let start = SIGNATURE.length
  while (start + CHUNK_OVERHEAD_BYTES <= png.length) {
    const length = view.getUint32(start)
    const end = start + CHUNK_OVERHEAD_BYTES + length
    if (end > png.length) throw malformed('it is cut off')
    yield {
      type: latin1(png.subarray(start + 4, start + 8)),
      start,
      data: png.subarray(start + 8, end - 4),
      checksum: view.getUint32(end - 4),
    }
    start = end
  }
}

const tooLarge = () => malformed('its texts are larger than 64 MiB')

function malformed(why: string): MeshError {
  return new MeshError('malformed_file', `This is no whole PNG file: ${why}`)
}

function isKeyword(keyword: string): boolean {
  return isLatin1(keyword) && keyword.length > 0 && keyword.length <= MAX_KEYWORD_BYTES
}

/** Without NUL, which ends a keyword. */
function isLatin1(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0 || code > 255) return false
  }
  return true
}

function encodeText([keyword, text]: PngText): Uint8Array {
  const head = Buffer.from(`${keyword}\0`, 'latin1')
  if (isLatin1(text)) return encodeChunk('tEXt', [head, Buffer.from(text, 'latin1')])
  // Not compressed, of no language, the keyword not translated.
  return encodeChunk('iTXt', [head, Buffer.alloc(4), Buffer.from(text, 'utf8')])
}

function encodeChunk(type: string, parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), ...parts])
  const chunk = Buffer.alloc(body.length + 8)
  chunk.writeUInt32BE(body.length - 4)
  chunk.set(body, 4)
  chunk.writeUInt32BE(crc32(body), body.length + 4)
  return chunk
}

/** Reads a text chunk; undefined where its form is unknown or broken. */
type Decoder = (data: Uint8Array, maxBytes: number) => PngText | undefined

const decoders: { readonly [type: string]: Decoder | undefined } = {
  tEXt: (data) => {
    const [keyword, text] = splitAtNul(data)
    return text && [latin1(keyword), latin1(text)]
  },

  zTXt: (data, maxBytes) => {
    const [keyword, rest] = splitAtNul(data)
    if (rest === undefined || rest[0] !== 0) return undefined
    const text = inflate(rest.subarray(1), maxBytes)
    return text && [latin1(keyword), latin1(text)]
  },

  iTXt: (data, maxBytes) => {
    const [keyword, rest] = splitAtNul(data)
    if (rest === undefined || rest.length < 2) return undefined
    const [, translated] = splitAtNul(rest.subarray(2))
    const [, stored] = translated ? splitAtNul(translated) : []
    if (stored === undefined) return undefined
    const text = rest[0] === 0 ? stored : inflate(stored, maxBytes)
    return text && [latin1(keyword), Buffer.from(text).toString('utf8')]
  },
}

function splitAtNul(data: Uint8Array): [before: Uint8Array, after?: Uint8Array] {
  const at = data.indexOf(0)
  return at < 0 ? [data] : [data.subarray(0, at), data.subarray(at + 1)]
}

/** @throws MeshError `malformed_file` when it is larger than `maxBytes`. */
function inflate(data: Uint8Array, maxBytes: number): Uint8Array | undefined {
  try {
    return inflateSync(data, { maxOutputLength: Math.max(maxBytes, 1) })
  } catch (error) {
    // Not skipped like a broken one: a file may hold thousands, and each costs as much to try.
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge()
    return undefined
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
