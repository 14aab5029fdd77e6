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
  /**
   * As in ComfyUI, what a new prompt does not contain is forgotten when it runs; here, unless
   * another that runs contains it.
   */
  begin(jobId: string, signatures: Iterable<string>): void
  end(jobId: string): void
  forgetAll(): void
}

export function createKnownResults(modules: {
  readonly filesExist: (output: JsonObject) => Promise<boolean>
}): KnownResults {
  const results = new Map<string, JsonObject>()
  /** Signatures of the prompts that run, by job. */
  const running = new Map<string, ReadonlySet<string>>()
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
    begin: (jobId, signatures) => {
      running.set(jobId, new Set(signatures))
      const contained = [...running.values()]
      for (const signature of results.keys())
        if (!contained.some((one) => one.has(signature))) results.delete(signature)
    },
    end: (jobId) => {
      running.delete(jobId)
    },
    forgetAll: () => results.clear(),
  }
}
