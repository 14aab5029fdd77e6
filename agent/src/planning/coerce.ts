/**
 * Constants of a prompt made what their input's type says, as ComfyUI does with
 * Python's `int`, `float`, `str` and `bool`; what these refuse is refused here.
 */
import { type JsonValue, MAX_INTEGER_DIGITS } from '@comfymesh/protocol/json'
import { pythonRepr, pythonText, pythonTypeName } from './python-text.ts'

/** A conversion that Python would refuse; `message` is Python's own. */
export class CoercionError extends Error {}

/** Unwraps `{ __value__: x }`, by which a list is told from a link. */
export function unwrap(value: JsonValue): JsonValue {
  const wrapped = typeof value === 'object' && value !== null && !Array.isArray(value)
  return wrapped && '__value__' in value ? value.__value__! : value
}

/**
 * @param type INT, FLOAT, STRING or BOOLEAN; any other leaves the value alone.
 * @throws CoercionError
 */
export function coerce(value: JsonValue, type: unknown): JsonValue {
  switch (type) {
    case 'INT':
      return toInteger(value)
    case 'FLOAT':
      return toFloat(value)
    case 'STRING':
      return pythonText(value)
    case 'BOOLEAN':
      return isTruthy(value)
    default:
      return value
  }
}

const INTEGER = /^[+-]?\d+(_\d+)*$/
/** Nothing in it can be matched in two ways: a long text that is no number is refused at once. */
const FLOAT = /^[+-]?(\d+(_\d+)*(\.(\d+(_\d+)*)?)?|\.\d+(_\d+)*)(e[+-]?\d+)?$/i
const NOT_FINITE = /^([+-]?)(inf|infinity|nan)$/i

function toInteger(value: JsonValue): number | bigint {
  if (typeof value === 'bigint') return value
  if (typeof value === 'boolean') return Number(value)
  if (Number.isNaN(value)) throw new CoercionError('cannot convert float NaN to integer')
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return narrow(BigInt(Math.trunc(value)))
    throw new CoercionError('cannot convert float infinity to integer')
  }
  if (typeof value === 'string') {
    const text = value.trim()
    if (text.length > MAX_INTEGER_DIGITS)
      throw new CoercionError(`Exceeds the limit (${MAX_INTEGER_DIGITS} digits) for an integer`)
    if (INTEGER.test(text)) return narrow(BigInt(text.replaceAll('_', '').replace('+', '')))
    throw new CoercionError(`invalid literal for int() with base 10: ${pythonRepr(value)}`)
  }
  const type = pythonTypeName(value)
  throw new CoercionError(
    `int() argument must be a string, a bytes-like object or a real number, not '${type}'`,
  )
}

/** May be infinite or NaN, as in Python. */
function toFloat(value: JsonValue): number {
  if (typeof value === 'number' || typeof value === 'boolean') return Number(value)
  if (typeof value === 'bigint') {
    if (Number.isFinite(Number(value))) return Number(value)
    throw new CoercionError('int too large to convert to float')
  }
  if (typeof value === 'string') {
    const text = value.trim()
    if (FLOAT.test(text)) return Number(text.replaceAll('_', ''))
    const [, sign, word] = NOT_FINITE.exec(text) ?? []
    if (word !== undefined) return /^nan$/i.test(word) ? Number.NaN : Number(`${sign}Infinity`)
    throw new CoercionError(`could not convert string to float: ${pythonRepr(value)}`)
  }
  const type = pythonTypeName(value)
  throw new CoercionError(`float() argument must be a string or a real number, not '${type}'`)
}

/** Any non-empty string is true in Python, 'false' included. */
export function isTruthy(value: JsonValue): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}

/** Numbers stay numbers where they are exact. */
function narrow(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
