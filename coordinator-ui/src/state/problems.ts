/** Why a prompt was refused: what belongs to which field, and the rest. Pure. */
import type { JsonValue } from '@comfymesh/protocol/json'
import { Refused } from '../api/http.ts'
import { isObject } from '../json-object.ts'

export interface Problems {
  /** By `nodeId.input`. */
  readonly byParameter: ReadonlyMap<string, string>
  readonly general: readonly string[]
}

export function problemsOf(error: Error | null): Problems {
  if (error === null) return { byParameter: new Map(), general: [] }
  const byParameter = new Map<string, string>()
  const general: string[] = []
  const body = error instanceof Refused ? error.body : undefined
  const nodes = isObject(body) && isObject(body.node_errors) ? body.node_errors : {}
  for (const [nodeId, node] of Object.entries(nodes)) {
    for (const { input, text } of errorsOf(node)) {
      if (input === undefined) general.push(text)
      else byParameter.set(`${nodeId}.${input}`, text)
    }
  }
  if (general.length === 0) general.push(byParameter.size > 0 ? someWrong : error.message)
  return { byParameter, general }
}

const someWrong = 'Some values are not right; the fields say which.'

function errorsOf(node: JsonValue): { input: string | undefined; text: string }[] {
  const errors = isObject(node) && Array.isArray(node.errors) ? node.errors : []
  return errors.filter(isObject).map(({ message, details, extra_info: info }) => ({
    input: isObject(info) && typeof info.input_name === 'string' ? info.input_name : undefined,
    text: [message, details].filter((part) => part !== undefined && part !== '').join(': '),
  }))
}
