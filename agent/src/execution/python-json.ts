/** JSON as Python's `json.dumps` writes it, for metadata that ComfyUI's tools compare byte by byte. */
import type { JsonValue } from '@comfymesh/protocol/json'
import { pythonFloat } from '../planning/python-text.ts'

/** A number that is a float to Python though it is whole: 8 is written 8.0. */
export class PythonFloat {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

export type PythonValue =
  | JsonValue
  | PythonFloat
  | readonly PythonValue[]
  | { readonly [key: string]: PythonValue }

/** Separators `", "` and `": "`, everything beyond ASCII escaped, 64-bit integers in full. */
export function pythonJson(value: PythonValue): string {
  if (value instanceof PythonFloat) return floatText(value.value)
  if (typeof value === 'string') return asciiString(value)
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined)
    return `{${entries.map(([key, item]) => `${asciiString(key)}: ${pythonJson(item)}`).join(', ')}}`
  }
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return String(value)
  return floatText(value)
}

/** Python writes, and reads, what JSON has not. */
function floatText(value: number): string {
  if (Number.isFinite(value)) return pythonFloat(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
}

function asciiString(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
