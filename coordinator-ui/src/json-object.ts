/** What JSON holds under names. Pure. */
import type { JsonObject } from '@comfymesh/protocol/json'

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
