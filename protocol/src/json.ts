/**
 * JSON that keeps 64-bit integers intact.
 *
 * A ComfyUI seed goes up to 2^64 - 1; `JSON.parse` rounds everything above 2^53.
 * Every prompt that enters or leaves a process passes through here.
 */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | JsonValue[]
  | { [key: string]: JsonValue }

export type JsonObject = { [key: string]: JsonValue }

/** A number beyond 2^53 has 16 digits; JSON without such a run needs no second look. */
const LONG_DIGITS = /\d{16}/
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
const NOT_FINITE = /^(?:NaN|-?Infinity)$/
const NUMBER_OF_PYTHON = new RegExp(`NaN|-?Infinity|${NUMBER.source}`, 'g')
const INTEGER = /^-?[1-9]\d*$/

/** As in Python: reading an integer takes time by the square of its length. */
export const MAX_INTEGER_DIGITS = 4300

/** Stands for a big integer while it passes through JSON; nobody else can know it. */
const MARK = `bigint-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}:`
const MARKED_KEY = new RegExp(`"${MARK}[^"]*"\\s*:`)
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, 'g')

/**
 * Parses JSON text; integers beyond 2^53 come out as bigints, every other number a number.
 * @throws SyntaxError also for an integer of more than 4300 digits.
 */
export function parseJson(text: string): JsonValue {
  if (!LONG_DIGITS.test(text)) return JSON.parse(text) as JsonValue
  return parseMarked(withMarks(text, (outside) => outside.replace(NUMBER, markBigInteger)))
}

/**
 * As `parseJson`, and as Python reads JSON: NaN, Infinity and -Infinity are numbers too, because
 * Python writes them so. JSON that is written here has null in their place.
 * @throws SyntaxError
 */
export function parsePythonJson(text: string): JsonValue {
  if (!/NaN|Infinity/.test(text)) return parseJson(text)
  const mark = (outside: string) =>
    outside.replace(NUMBER_OF_PYTHON, (token) =>
      NOT_FINITE.test(token) ? `"${MARK}${token}"` : markBigInteger(token),
    )
  return parseMarked(withMarks(text, mark))
}

function parseMarked(text: string): JsonValue {
  if (MARKED_KEY.test(text)) throw new SyntaxError('a number cannot be the name of a member')
  return JSON.parse(text, (_key, value) => {
    if (typeof value !== 'string' || !value.startsWith(MARK)) return value
    const token = value.slice(MARK.length)
    return NOT_FINITE.test(token) ? Number(token) : BigInt(token)
  }) as JsonValue
}

/** The text with some of its numbers marked; what stands inside a string is left alone. */
function withMarks(text: string, mark: (outside: string) => string): string {
  let marked = ''
  for (let at = 0; at < text.length; ) {
    const quote = text.indexOf('"', at)
    const stringStart = quote < 0 ? text.length : quote
    marked += mark(text.slice(at, stringStart))
    at = quote < 0 ? text.length : endOfString(text, quote)
    marked += text.slice(stringStart, at)
  }
  return marked
}

function markBigInteger(token: string): string {
  if (!INTEGER.test(token) || Number.isSafeInteger(Number(token))) return token
  if (token.length > MAX_INTEGER_DIGITS)
    throw new SyntaxError(`an integer of ${token.length} digits is too long`)
  return `"${MARK}${token}"`
}

/**
 * The index after the string of JSON text that begins with the quote at `start`. Not a
 * regular expression, because those run out of stack on strings of some megabytes.
 */
export function endOfString(json: string, start: number): number {
  for (let at = json.indexOf('"', start + 1); at >= 0; at = json.indexOf('"', at + 1)) {
    let backslashes = 0
    while (json[at - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return at + 1
  }
  return json.length
}

/**
 * Writes JSON text; bigints become plain integers.
 * @throws TypeError for what has no JSON form.
 */
export function stringifyJson(value: unknown, space?: number): string {
  const text = plainText(value, space) ?? markedText(value, space)
  if (text === undefined) throw new TypeError('value has no JSON form')
  return text
}

/** Most values hold no bigint, and without a replacer JSON is written several times faster. */
function plainText(value: unknown, space?: number): string | undefined {
  try {
    return JSON.stringify(value, undefined, space)
  } catch (error) {
    if (error instanceof TypeError && /BigInt/.test(error.message)) return undefined
    throw error
  }
}

function markedText(value: unknown, space?: number): string | undefined {
  const mark = (_key: string, item: unknown) => (typeof item === 'bigint' ? MARK + item : item)
  return JSON.stringify(value, mark, space)?.replace(MARKED, '$1')
}
