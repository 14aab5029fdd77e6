/**
 * How Python writes values, for messages that read like ComfyUI's and for
 * metadata that its tools compare: `str`, `repr` and the text of `float`.
 */
import type { JsonValue } from '@comfymesh/protocol/json'

/** `repr(value)`: strings quoted, True, False and None. */
export function pythonRepr(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'string') return quoted(value)
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`
  if (typeof value === 'object') {
    const entries = Object.entries(value).map(
      ([key, item]) => `${quoted(key)}: ${pythonRepr(item)}`,
    )
    return `{${entries.join(', ')}}`
  }
  return typeof value === 'bigint' || Number.isInteger(value) ? String(value) : pythonFloat(value)
}

/** `str(value)`: as `repr`, but a string stands for itself. */
export function pythonText(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : pythonRepr(value)
}

/** `repr` of a float: 1 is 1.0, and exponents begin below 1e-4 and from 1e16 on. */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits, exponent] = value.toExponential().split('e') as [string, string]
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`
  }
  const text = String(value)
  return text.includes('.') ? text : `${text}.0`
}

/** The name of a value's Python type, as in its error messages. */
export function pythonTypeName(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return 'NoneType'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'string') return 'str'
  if (Array.isArray(value)) return 'list'
  if (typeof value === 'object') return 'dict'
  return typeof value === 'bigint' || Number.isInteger(value) ? 'int' : 'float'
}

/** What Python does not print as it is: control, format and private characters, odd spaces. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
])

/** Python prefers single quotes unless only they would need escaping. */
function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll(quote, `\\${quote}`)
    .replaceAll(UNPRINTABLE, (character) => SHORT_ESCAPES.get(character) ?? numbered(character))
  return quote + escaped + quote
}

/** `\x00`, `\u2028` or `\U000e0001`. */
function numbered(character: string): string {
  const code = character.codePointAt(0)!
  const [letter, digits] = code < 0x100 ? ['x', 2] : code < 0x10000 ? ['u', 4] : ['U', 8]
  return `\\${letter}${code.toString(16).padStart(digits as number, '0')}`
}
