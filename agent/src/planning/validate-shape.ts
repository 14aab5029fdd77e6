/** Whether a prompt is a graph of known nodes at all, before its values are looked at. */
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { Problem } from '@comfymesh/protocol/refusal'
import type { NodeDefinitions, NodeId } from '@comfymesh/protocol/workflow'
import { pythonText } from './python-text.ts'

/**
 * The largest workflows have some thousand nodes. Ten thousand take a third of a second to validate
 * and two to plan on a small machine, in which nobody else is answered.
 */
export const MAX_NODES = 10_000

/** Ids stand in many messages; those of nodes in nested subgraphs have some hundred characters. */
export const MAX_NODE_ID_LENGTH = 500

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
  const nodes = Object.entries(prompt)
  if (nodes.length > MAX_NODES)
    return invalid(`The prompt has ${nodes.length} nodes, and ${MAX_NODES} at most are possible`)
  for (const [id, node] of nodes) {
    if (id.length > MAX_NODE_ID_LENGTH)
      return invalid(
        `Node ID '#${id.slice(0, 50)}...' has more than ${MAX_NODE_ID_LENGTH} characters`,
      )
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
