/** Errors as jobs keep them. */
import type { MeshError } from '@comfymesh/protocol/errors'
import { type JsonObject, parseJson, stringifyJson } from '@comfymesh/protocol/json'

/** Details as they can be written down: what is no JSON is left out. */
export function plainReport(error: MeshError) {
  const { code, message } = error
  return { code, message, details: parseJson(stringifyJson(error.details)) as JsonObject }
}
