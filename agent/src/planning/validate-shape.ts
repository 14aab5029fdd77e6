/** Whether a prompt is a graph of known nodes at all, before its values are looked at. */
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { NodeDefinitions, NodeId } from '@comfymesh/protocol/workflow'
import type { Problem } from './problem.ts'
import { pythonText } from './python-text.ts'

/** What keeps a prompt from being looked at more closely: not a graph, or an unknown class. */
export function firstMalformed(
  prompt: JsonValue,
  definitions: NodeDefinitions,
): Problem | undefined {
  const invalid = (details: string): Problem => ({
    type: 'invalid_prompt',
    message: 'Invalid prompt',
    details,
    extra_info: {},
  })
  if (!isObject(prompt)) return invalid('The prompt must be an object of nodes by id')
  for (const [id, node] of Object.entries(prompt)) {
    // The one name that an object cannot be given like any other.
    if (id === '__proto__') return invalid(`Node ID '#${id}' is not possible; use another`)
    if (!isObject(node)) return invalid(`Node ID '#${id}' must be an object`)
    const missing = missingClass(id, node, definitions)
    if (missing !== undefined) return missing
  }
  return undefined
}

function missingClass(
  id: NodeId,
  node: JsonObject,
  definitions: NodeDefinitions,
): Problem | undefined {
  const classType = node.class_type
  if (typeof classType === 'string' && Object.hasOwn(definitions, classType)) return undefined
  const given =
    isObject(node._meta) && typeof node._meta.title === 'string' ? node._meta.title : null
  const absent = classType === undefined
  const title = given ?? (absent ? null : pythonText(classType))
  return {
    type: 'missing_node_type',
    message: absent
      ? `Node '${title ?? `ID #${id}`}' has no class_type. The workflow may be corrupted or a custom node is missing.`
      : `Node '${title}' not found. The custom node may not be installed.`,
    details: `Node ID '#${id}'`,
    extra_info: { node_id: id, class_type: absent ? null : classType, node_title: title },
  }
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
