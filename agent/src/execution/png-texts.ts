/** What ComfyUI writes into a picture: the prompt, and what the client sent along. Pure. */
import type { JobRequest } from '@comfymesh/protocol/job'
import type { JsonValue } from '@comfymesh/protocol/json'
import type { NodeId } from '@comfymesh/protocol/workflow'
import type { PngText } from '../base/png-text.ts'
import { declaredInputs, type Graph } from '../planning/graph.ts'
import { PythonFloat, type PythonValue, pythonJson } from './python-json.ts'

/**
 * ComfyUI's text chunks in its order: `prompt`, then `workflow` and whatever else is in
 * `extra_pnginfo`.
 * @param ran the nodes whose values validation made what their types say: in Python a FLOAT
 *   stays one, 8 is written 8.0.
 */
export function pngTexts(
  { extraData }: Pick<JobRequest, 'extraData'>,
  graph: Graph,
  ran: readonly NodeId[],
): PngText[] {
  const extra = extraData.extra_pnginfo
  const isObject = typeof extra === 'object' && extra !== null && !Array.isArray(extra)
  const sent = Object.entries(isObject ? extra : {})
  return [
    ['prompt', pythonJson(withFloats(graph, ran))],
    ...sent.map(([keyword, value]): PngText => [keyword, pythonJson(value)]),
  ]
}

function withFloats(graph: Graph, ran: readonly NodeId[]): PythonValue {
  const nodes: { [id: NodeId]: PythonValue } = {
    ...(graph.prompt as unknown as { [id: NodeId]: JsonValue }),
  }
  for (const id of ran) {
    const { class_type, inputs } = graph.prompt[id]!
    const typed: { [name: string]: PythonValue } = { ...inputs }
    for (const [name, [type]] of declaredInputs(graph.definitions[class_type]!)) {
      const value = inputs[name]
      if (type === 'FLOAT' && typeof value === 'number') typed[name] = new PythonFloat(value)
    }
    nodes[id] = { ...(graph.prompt[id] as unknown as { [key: string]: JsonValue }), inputs: typed }
  }
  return nodes
}
