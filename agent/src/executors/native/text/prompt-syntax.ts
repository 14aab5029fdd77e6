/**
 * ComfyUI's prompt syntax: weights in parentheses, escapes, and the names of embeddings.
 * What a text or an embedding becomes is tokens' and embeddings' business.
 */

/** A stretch of a prompt with one weight. */
export interface WeightedText {
  readonly text: string
  readonly weight: number
}

/** Plain parentheses multiply the weight by this. */
const EMPHASIS = 1.1

/**
 * Splits a prompt into stretches of one weight: `(text)` weighs 1.1 times what surrounds it,
 * `(text:1.3)` weighs 1.3, both nest, and `\(` and `\)` are plain characters. Parentheses
 * that do not match are text.
 */
export function weightedTexts(prompt: string): WeightedText[] {
  return weigh(hideEscapes(prompt), 1).map(({ text, weight }) => ({
    text: revealEscapes(text),
    weight,
  }))
}

/** Escaped parentheses as pairs of control characters, which nobody types. */
const hideEscapes = (text: string) => text.replaceAll('\\)', '\0\x01').replaceAll('\\(', '\0\x02')
const revealEscapes = (text: string) => text.replaceAll('\0\x01', ')').replaceAll('\0\x02', '(')

function weigh(text: string, weight: number): WeightedText[] {
  return splitAtParentheses(text).flatMap((part) => {
    const isGroup = part.length >= 2 && part.startsWith('(') && part.endsWith(')')
    if (!isGroup) return [{ text: part, weight }]
    const inner = part.slice(1, -1)
    const colon = inner.lastIndexOf(':')
    const given = colon > 0 ? parseWeight(inner.slice(colon + 1)) : undefined
    return given === undefined
      ? weigh(inner, weight * EMPHASIS)
      : weigh(inner.slice(0, colon), given)
  })
}

/** Outermost groups, parentheses included, and the text between them; no empty parts. */
function splitAtParentheses(text: string): string[] {
  const parts: string[] = []
  let start = 0
  let depth = 0
  const cut = (end: number) => {
    if (end > start) parts.push(text.slice(start, end))
    start = end
  }
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') {
      if (depth === 0) cut(i)
      depth++
    } else if (text[i] === ')') {
      depth--
      if (depth === 0) cut(i + 1)
    }
  }
  cut(text.length)
  return parts
}

const PYTHON_FLOAT = /^[+-]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)(e[+-]?\d+(_\d+)*)?$/i

/** A number as Python's float() reads it, since prompts are written against that. */
function parseWeight(written: string): number | undefined {
  const text = written.trim()
  if (PYTHON_FLOAT.test(text)) return Number(text.replaceAll('_', ''))
  if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  return /^[+-]?nan$/i.test(text) ? Number.NaN : undefined
}

const EMBEDDING = 'embedding:'

/** White space in the eyes of Python's regular expressions. */
const SPACE =
  '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]'
const BEFORE_EMBEDDING = new RegExp(`(?<=${SPACE})(?=${EMBEDDING})`)
const SPACES = new RegExp(`${SPACE}+`)

/** Cuts a text so that each mention of an embedding begins a part. */
export function splitAtEmbeddings(text: string): string[] {
  return text.split(BEFORE_EMBEDDING).filter((part) => part !== '')
}

/** What a part that begins with `embedding:` says. */
export interface EmbeddingMention {
  readonly name: string
  /** Plain text after the name. */
  readonly rest: string
}

/** The mention at the start of a part; undefined when it is plain text. */
export function embeddingMention(part: string): EmbeddingMention | undefined {
  if (!part.startsWith(EMBEDDING)) return undefined
  const [word = '', ...others] = part.slice(EMBEDDING.length).split(SPACES).filter(Boolean)
  const rest = others.join(' ')
  const bracket = word.search(/[<[]/)
  if (bracket < 0) return { name: word, rest }
  const tail = word.slice(bracket)
  return { name: word.slice(0, bracket), rest: rest === '' ? tail : `${tail} ${rest}` }
}

/** The same mention without commas around the name, which belong to the text; undefined without. */
export function withoutCommas({ name, rest }: EmbeddingMention): EmbeddingMention | undefined {
  const bare = name.replace(/^,+|,+$/g, '')
  return bare === name ? undefined : { name: bare, rest: `${name.slice(bare.length)} ${rest}` }
}

/** The names that a prompt may mean by its mentions of embeddings. */
export function embeddingNames(prompt: string): string[] {
  return weightedTexts(prompt)
    .flatMap(({ text }) => splitAtEmbeddings(text))
    .flatMap((part) => embeddingMention(part) ?? [])
    .flatMap((mention) => [mention, withoutCommas(mention) ?? mention])
    .map(({ name }) => name)
}
