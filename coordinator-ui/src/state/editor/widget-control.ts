/** How a widget is edited, and how what was typed becomes a value. 64-bit integers stay intact. */
import { optionsOf, settingsOf, typeOf } from '@comfymesh/protocol/convert/widget-types'
import type { JsonValue } from '@comfymesh/protocol/json'
import type { InputSpec } from '@comfymesh/protocol/workflow'

export interface IntegerControl {
  readonly kind: 'integer'
  readonly min: bigint
  readonly max: bigint
  readonly step: bigint
}

export interface DecimalControl {
  readonly kind: 'decimal'
  readonly min: number
  readonly max: number
  readonly step: number
  /** How many digits behind the point count. */
  readonly digits: number
}

export type WidgetControl =
  | IntegerControl
  | DecimalControl
  | { readonly kind: 'text'; readonly isMultiline: boolean }
  | { readonly kind: 'switch' }
  | {
      readonly kind: 'choice'
      readonly options: readonly JsonValue[]
      /** What else is asked for depends on the choice. */
      readonly isDynamic: boolean
      /** A file of this computer can become an option. */
      readonly takesPictures: boolean
    }
  /** Shown and kept as it is: the editor has no control for it. */
  | { readonly kind: 'kept' }

export function controlOf(spec: InputSpec): WidgetControl {
  const settings = settingsOf(spec)
  const type = typeof settings.widgetType === 'string' ? settings.widgetType : typeOf(spec)
  switch (type) {
    case 'INT':
      return integerControl(spec)
    case 'FLOAT':
      return decimalControl(spec)
    case 'STRING':
    case 'TEXTAREA':
    case 'MARKDOWN':
      return { kind: 'text', isMultiline: type !== 'STRING' || settings.multiline === true }
    case 'BOOLEAN':
      return { kind: 'switch' }
    case 'COMBO':
    case 'COMFY_DYNAMICCOMBO_V3':
      return {
        kind: settings.multiselect || settings.multi_select ? 'kept' : 'choice',
        options: optionsOf(spec),
        isDynamic: type !== 'COMBO',
        takesPictures: settings.image_upload === true,
      }
    default:
      return { kind: 'kept' }
  }
}

const MOST = 2n ** 64n - 1n

function integerControl(spec: InputSpec): IntegerControl {
  const { min, max, step } = settingsOf(spec)
  const whole = (value: JsonValue | undefined, otherwise: bigint) =>
    typeof value === 'bigint'
      ? value
      : typeof value === 'number' && Number.isFinite(value)
        ? BigInt(Math.trunc(value))
        : otherwise
  const stepped = whole(step, 1n)
  return {
    kind: 'integer',
    min: whole(min, -(2n ** 63n)),
    // A server that reads JSON as floats says 2^64, which is one too many.
    max: smaller(whole(max, MOST), MOST),
    step: stepped > 0n ? stepped : 1n,
  }
}

const smaller = (one: bigint, other: bigint) => (one < other ? one : other)

function decimalControl(spec: InputSpec): DecimalControl {
  const { min, max, step, round } = settingsOf(spec)
  const number = (value: JsonValue | undefined, otherwise: number) =>
    value !== undefined && Number.isFinite(Number(value)) ? Number(value) : otherwise
  const stepped = Math.abs(number(step, 0.01)) || 0.01
  const finest = typeof round === 'number' && round > 0 ? Math.min(round, stepped) : stepped
  return {
    kind: 'decimal',
    min: number(min, Number.NEGATIVE_INFINITY),
    max: number(max, Number.POSITIVE_INFINITY),
    step: stepped,
    digits: Math.min(15, Math.max(0, Math.ceil(-Math.log10(finest) - 1e-9))),
  }
}

/** The number that was typed, within its bounds; undefined when it is none. */
export function parseNumber(
  control: IntegerControl | DecimalControl,
  typed: string,
): JsonValue | undefined {
  const text = typed.trim().replace(',', '.')
  if (control.kind === 'integer') {
    return /^[+-]?\d{1,30}$/.test(text) ? integerValue(control, BigInt(text)) : undefined
  }
  const value = Number(text)
  if (text === '' || !Number.isFinite(value)) return undefined
  return decimalValue(control, value)
}

/** The value some steps further; what is no number counts as the least there is. */
export function steppedNumber(
  control: IntegerControl | DecimalControl,
  value: JsonValue | undefined,
  steps: number,
): JsonValue {
  if (control.kind === 'decimal') {
    return decimalValue(control, (Number(value) || 0) + steps * control.step)
  }
  const whole = /^-?\d+$/.test(String(value)) ? BigInt(String(value)) : control.min
  return integerValue(control, whole + BigInt(Math.trunc(steps)) * control.step)
}

function integerValue({ min, max }: IntegerControl, value: bigint): JsonValue {
  const bound = value < min ? min : value > max ? max : value
  return Number.isSafeInteger(Number(bound)) ? Number(bound) : bound
}

function decimalValue({ min, max, digits }: DecimalControl, value: number): number {
  return Number(Math.min(max, Math.max(min, value)).toFixed(digits))
}
