/**
 * What output nodes showed, by signature, so that a repeated prompt is answered
 * without running and its files are not written again.
 */
import type { JsonObject } from '@comfymesh/protocol/json'
import type { NodeId } from '@comfymesh/protocol/workflow'

export interface KnownResults {
  /** The outputs among `outputs` whose result is known and whose files are still there. */
  recall(
    outputs: readonly NodeId[],
    signatures: ReadonlyMap<NodeId, string>,
  ): Promise<Map<NodeId, JsonObject>>
  remember(signature: string, output: JsonObject): void
  /** As in ComfyUI, what a new prompt does not contain is forgotten when it runs. */
  keepOnly(signatures: Iterable<string>): void
}

export function createKnownResults(modules: {
  readonly filesExist: (output: JsonObject) => Promise<boolean>
}): KnownResults {
  const results = new Map<string, JsonObject>()
  return {
    async recall(outputs, signatures) {
      const known = new Map<NodeId, JsonObject>()
      for (const nodeId of outputs) {
        const output = results.get(signatures.get(nodeId)!)
        if (output !== undefined && (await modules.filesExist(output))) known.set(nodeId, output)
      }
      return known
    },
    remember: (signature, output) => {
      results.set(signature, output)
    },
    keepOnly: (signatures) => {
      const kept = new Set(signatures)
      for (const signature of results.keys()) if (!kept.has(signature)) results.delete(signature)
    },
  }
}
