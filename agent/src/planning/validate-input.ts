/** One input of one node against its declaration: type, range, dropdown, link type. */
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { Problem } from '@comfymesh/protocol/refusal'
import { CoercionError, coerce, unwrap } from './coerce.ts'
import { pythonFloat, pythonRepr, pythonText } from './python-text.ts'

interface CheckedConstant {
  /** Coerced as far as it could be. */
  readonly value: JsonValue
  readonly found?: Problem
}

/** A longer dropdown is not repeated in the error (ComfyUI's limit). */
const MAX_LISTED_OPTIONS = 20

/**
 * Coerces and checks a constant.
 * @param judged the node's own validation judges it, so range and dropdown do not apply.
 */
export function checkConstant(
  name: string,
  config: JsonValue[],
  given: JsonValue,
  judged: boolean,
): CheckedConstant {
  const [type] = config
  let value = unwrap(given)
  try {
    value = coerce(value, type)
  } catch (error) {
    if (!(error instanceof CoercionError)) throw error
    return { value, found: inconvertible(name, config, value, error.message) }
  }
  const outside = judged ? undefined : outsideRange(name, config, value)
  if (outside !== undefined) return { value, found: outside }
  // Unlike Python's, JSON has neither infinities nor NaN: such a value could not be kept or shown.
  if (typeof value === 'number' && !Number.isFinite(value))
    return { value, found: inconvertible(name, config, value, 'it is not a finite number') }
  if (judged) return { value }
  const options = optionsOf(config)
  return options === undefined ? { value } : choose(name, config, value, options)
}

function inconvertible(
  name: string,
  config: JsonValue[],
  value: JsonValue,
  exception_message: string,
): Problem {
  const message = `Failed to convert an input value to a ${pythonText(config[0])} value`
  const details = `${name}, ${pythonText(value)}, ${exception_message}`
  const extra_info = { ...about(name, config, value), exception_message }
  return { type: 'invalid_input_type', message, details, extra_info }
}

/**
 * ComfyUI's rule: equal, a wildcard, or comma lists with a type in common. A dropdown
 * in the old spelling, a list of options, takes nothing but itself.
 */
export function typesMatch(received: JsonValue, input: JsonValue): boolean {
  if (isWild(received) || isWild(input)) return true
  if (Array.isArray(received) && input === 'COMBO') return true
  if (typeof received !== 'string' || typeof input !== 'string')
    return pythonRepr(received) === pythonRepr(input)
  const receivedTypes = typesIn(received)
  const inputTypes = typesIn(input)
  if (receivedTypes.includes('*') || inputTypes.includes('*')) return true
  return receivedTypes.some((type) => inputTypes.includes(type))
}

function isWild(type: JsonValue): boolean {
  return type === '*' || type === 'COMFY_MATCHTYPE_V3'
}

function typesIn(list: string): string[] {
  return list.split(',').map((type) => type.trim())
}

/** The dropdown of an input, in either of ComfyUI's spellings; undefined when it is none. */
export function optionsOf(config: readonly JsonValue[]): JsonValue[] | undefined {
  const [type] = config
  if (Array.isArray(type)) return type
  if (type !== 'COMBO') return undefined
  const { options } = settingsOf(config)
  return Array.isArray(options) ? options : []
}

function settingsOf(config: readonly JsonValue[]): JsonObject {
  return (config[1] ?? {}) as JsonObject
}

function about(name: string, config: JsonValue[] | null, value: JsonValue): JsonObject {
  return { input_name: name, input_config: config, received_value: value }
}

function outsideRange(name: string, config: JsonValue[], value: JsonValue): Problem | undefined {
  const { min, max } = settingsOf(config)
  const text = (number: JsonValue) =>
    config[0] === 'FLOAT' ? pythonFloat(Number(number)) : pythonText(number)
  const extra_info = about(name, config, value)
  if (isNumber(min) && isNumber(value) && value < min) {
    const message = `Value ${text(value)} smaller than min of ${text(min)}`
    return { type: 'value_smaller_than_min', message, details: name, extra_info }
  }
  if (isNumber(max) && isNumber(value) && value > max) {
    const message = `Value ${text(value)} bigger than max of ${text(max)}`
    return { type: 'value_bigger_than_max', message, details: name, extra_info }
  }
  return undefined
}

function isNumber(value: JsonValue | undefined): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function choose(
  name: string,
  config: JsonValue[],
  value: JsonValue,
  options: JsonValue[],
): CheckedConstant {
  const several = settingsOf(config).multiselect === true && Array.isArray(value)
  const chosen = (several ? (value as JsonValue[]) : [value]).map((item) => listed(item, options))
  const invalid = chosen.filter((item) => !options.includes(item))
  const coerced = several ? chosen : chosen[0]!
  if (invalid.length === 0) return { value: coerced }
  const isLong = options.length > MAX_LISTED_OPTIONS
  const list = isLong ? `(list of length ${options.length})` : pythonRepr(options)
  const details = `${name}: ${invalid.map(pythonRepr).join(', ')} not in ${list}`
  const extra_info = about(name, isLong ? null : config, value)
  return {
    value,
    found: { type: 'value_not_in_list', message: 'Value not in list', details, extra_info },
  }
}

/** The option a value names: workflows made on Windows write `sub\model` for `sub/model`. */
function listed(value: JsonValue, options: JsonValue[]): JsonValue {
  if (typeof value !== 'string' || options.includes(value)) return value
  const plain = (text: JsonValue) => typeof text === 'string' && text.replaceAll('\\', '/')
  return options.find((option) => plain(option) === plain(value)) ?? value
}
