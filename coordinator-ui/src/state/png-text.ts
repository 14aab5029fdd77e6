/**
 * The texts inside PNG files, where ComfyUI keeps the prompt and the workflow; read in the
 * browser. Specification: https://www.w3.org/TR/png-3/#11textinfo
 */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10]
/** Length, type and checksum of a chunk. */
const CHUNK_OVERHEAD_BYTES = 12

/** By keyword; empty when the bytes are no PNG file or carry none. */
export async function pngTexts(bytes: Uint8Array<ArrayBuffer>): Promise<Map<string, string>> {
  const texts = new Map<string, string>()
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) return texts
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let start = SIGNATURE.length
  while (start + CHUNK_OVERHEAD_BYTES <= bytes.length) {
    const end = start + CHUNK_OVERHEAD_BYTES + view.getUint32(start)
    if (end > bytes.length) break
    const type = latin1(bytes.subarray(start + 4, start + 8))
    const text = await decoders[type]?.(bytes.subarray(start + 8, end - 4))
    if (text) texts.set(...text)
    start = end
  }
  return texts
}

type Text = [keyword: string, text: string]
type Bytes = Uint8Array<ArrayBuffer>
type Decoder = (data: Bytes) => Promise<Text | undefined>

const decoders: { readonly [type: string]: Decoder | undefined } = {
  tEXt: async (data) => {
    const [keyword, text] = splitAtNul(data)
    return text && [latin1(keyword), latin1(text)]
  },
  zTXt: async (data) => {
    const [keyword, rest] = splitAtNul(data)
    const text = rest && (await inflate(rest.subarray(1)))
    return text && [latin1(keyword), latin1(text)]
  },
  iTXt: async (data) => {
    const [keyword, rest] = splitAtNul(data)
    const [, translated] = rest ? splitAtNul(rest.subarray(2)) : []
    const [, stored] = translated ? splitAtNul(translated) : []
    const text = rest?.[0] === 0 ? stored : stored && (await inflate(stored))
    return text && [latin1(keyword), new TextDecoder().decode(text)]
  },
}

function splitAtNul(data: Bytes): [before: Bytes, after?: Bytes] {
  const at = data.indexOf(0)
  return at < 0 ? [data] : [data.subarray(0, at), data.subarray(at + 1)]
}

async function inflate(data: Bytes): Promise<Bytes | undefined> {
  try {
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream('deflate'))
    return new Uint8Array(await new Response(stream).arrayBuffer())
  } catch {
    return undefined
  }
}

function latin1(bytes: Bytes): string {
  return new TextDecoder('latin1').decode(bytes)
}
