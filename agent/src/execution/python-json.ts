/** JSON as Python's `json.dumps` writes it, for metadata that ComfyUI's tools compare byte by byte. */
import type { JsonValue } from '@comfymesh/protocol/json'
import { pythonFloat } from '../planning/python-text.ts'

/** Separators `", "` and `": "`, everything beyond ASCII escaped, 64-bit integers in full. */
export function pythonJson(value: JsonValue): string {
  if (typeof value === 'string') return asciiString(value)
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined)
    return `{${entries.map(([key, item]) => `${asciiString(key)}: ${pythonJson(item)}`).join(', ')}}`
  }
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return String(value)
  return pythonFloat(value)
}

function asciiString(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
