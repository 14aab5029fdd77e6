/**
 * The ids of inner nodes. One that is taken already, in the drawing around or in another
 * subgraph, becomes another when the frontend loads the file; so it does here, and events
 * about a node name it as they do there.
 */
import type { WorkflowDocument, WorkflowNodeId } from './document.ts'

/** The id of a node of a subgraph, given the id that it has in the file. */
export type PromptIds = (subgraphId: string, nodeId: WorkflowNodeId) => WorkflowNodeId

export function promptIds({ root, subgraphs, lastNodeId }: WorkflowDocument): PromptIds {
  const used = new Set(root.nodes.keys())
  let last = lastNodeId
  const renamed = new Map<string, Map<WorkflowNodeId, WorkflowNodeId>>()
  for (const [subgraphId, { nodes }] of subgraphs) {
    const changes = new Map<WorkflowNodeId, WorkflowNodeId>()
    for (const nodeId of nodes.keys()) {
      while (used.has(String(last + 1))) last++
      const id = used.has(nodeId) ? String(++last) : nodeId
      if (id !== nodeId) changes.set(nodeId, id)
      used.add(id)
      last = Math.max(last, wholeNumber(id))
    }
    renamed.set(subgraphId, changes)
  }
  return (subgraphId, nodeId) => renamed.get(subgraphId)?.get(nodeId) ?? nodeId
}

const wholeNumber = (id: WorkflowNodeId) => (/^\d{1,15}$/.test(id) ? Number(id) : 0)
