/**
 * How much a JSON text will become when it is parsed, counted without building any of it:
 * a few megabytes of brackets and commas become gigabytes of objects. And how much it is then.
 */
import type { JsonValue } from './json.ts'

export interface JsonLimits {
  /** Members of arrays and objects, of all levels together. */
  readonly maxValues: number
  readonly maxDepth: number
}

/** What a text has too much of; undefined where it keeps within the limits. */
export type JsonExcess = 'values' | 'depth' | undefined

const [QUOTE, BACKSLASH, COMMA, OPEN, CLOSE] = [...'"\\,[]'].map((sign) => sign.charCodeAt(0))
const [OPEN_OBJECT, CLOSE_OBJECT] = [...'{}'].map((sign) => sign.charCodeAt(0))

/**
 * Looks through JSON in UTF-8 once. Whether it is JSON at all is for the parser to say; of what
 * is none, this says no more than that.
 */
export function jsonExcess(bytes: Uint8Array, { maxValues, maxDepth }: JsonLimits): JsonExcess {
  let values = 0
  let depth = 0
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE:
        at = endOfString(bytes, at + 1)
        break
      case COMMA:
        values += 1
        break
      case OPEN:
      case OPEN_OBJECT:
        values += 1
        depth += 1
        if (depth > maxDepth) return 'depth'
        break
      case CLOSE:
      case CLOSE_OBJECT:
        depth -= 1
        break
    }
    if (values > maxValues) return 'values'
  }
  return undefined
}

/** How far a string is walked before its end is searched for, which is quicker from there on. */
const WALKED_BYTES = 64

/** The index of the quote that ends the string, or the length where none does. */
function endOfString(bytes: Uint8Array, start: number): number {
  let at = start
  while (at < bytes.length) {
    const walkEnd = Math.min(bytes.length, at + WALKED_BYTES)
    while (at < walkEnd) {
      if (bytes[at] === QUOTE) return at
      at += bytes[at] === BACKSLASH ? 2 : 1
    }
    const quote = bytes.indexOf(QUOTE!, at)
    if (quote < 0) return bytes.length
    if (backslashesBefore(bytes, quote, at) % 2 === 0) return quote
    at = quote + 1
  }
  return at
}

function backslashesBefore(bytes: Uint8Array, end: number, start: number): number {
  let at = end
  while (at > start && bytes[at - 1] === BACKSLASH) at--
  return end - at
}

/** What a value takes beside the characters of its names and texts: a slot and a header. */
const VALUE_BYTES = 16

/** About how many bytes of memory a parsed value holds. */
export function heldBytes(value: JsonValue): number {
  let bytes = 0
  const pending = [value]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    bytes += VALUE_BYTES
    if (typeof next === 'string') bytes += next.length
    else if (typeof next === 'bigint') bytes += next.toString(16).length / 2
    else if (Array.isArray(next)) for (const member of next) pending.push(member)
    else if (typeof next === 'object' && next !== null)
      for (const [name, member] of Object.entries(next)) {
        bytes += name.length
        pending.push(member)
      }
  }
  return bytes
}
