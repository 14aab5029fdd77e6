/**
 * Signatures of nodes: two nodes with equal signatures have equal outputs. As in
 * ComfyUI's cache keys, ids, titles and the order of inputs do not count; class,
 * values, fingerprints and everything upstream do.
 */
import { createHash } from 'node:crypto'
import { type JsonValue, stringifyJson } from '@comfymesh/protocol/json'
import { isLink, type NodeId } from '@comfymesh/protocol/workflow'
import { type Graph, usedInputs } from './graph.ts'

/**
 * @param order nodes, each after those it depends on.
 * @param fingerprints what else decides a node's result, such as the hash of the file it reads.
 * @returns 64 hexadecimal digits a node.
 */
export function signaturesOf(
  graph: Graph,
  order: readonly NodeId[],
  fingerprints: ReadonlyMap<NodeId, string>,
): Map<NodeId, string> {
  const signatures = new Map<NodeId, string>()
  for (const id of order) {
    const { class_type } = graph.prompt[id]!
    const inputs = usedInputs(graph, id)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => {
        const source = isLink(value) ? signatures.get(value[0]) : undefined
        const content = isLink(value) ? { link: [source!, value[1]] } : { value: sortedKeys(value) }
        return [name, content]
      })
    // A class that asks for its own id may answer differently under another one.
    const hidden = Object.values(graph.definitions[class_type]!.input.hidden ?? {})
    const ownId = hidden.some((kind) => [kind].flat().includes('UNIQUE_ID')) ? id : null
    const key = [class_type, fingerprints.get(id) ?? null, ownId, inputs]
    signatures.set(id, hash(stringifyJson(key)))
  }
  return signatures
}

/** A stage's idempotency key: the same nodes under the same ids for the same values, whoever asks. */
export function stageKey(
  nodes: readonly { id: NodeId; signature: string }[],
  outputs: readonly { nodeId: NodeId; slot: number }[],
  index: number,
): string {
  const run = nodes.map(({ id, signature }) => [id, signature])
  const wanted = outputs.map(({ nodeId, slot }) => `${nodeId}:${slot}`).sort()
  return hash(stringifyJson([index, run, wanted]))
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function sortedKeys(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sortedKeys)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, item]) => [key, sortedKeys(item)]))
}
