/** A workflow becomes a prompt for a command: what is odd is told on standard error. */
import {
  type Conversion,
  type ConversionWarning,
  type ConvertedPrompt,
  convertWorkflow,
} from '@comfymesh/protocol/convert/convert-workflow'
import type { JsonObject } from '@comfymesh/protocol/json'
import { nodeName } from '@comfymesh/protocol/prompt-nodes'
import type { NodeDefinitions, NodeId, Prompt } from '@comfymesh/protocol/workflow'

type Say = (line: string) => void

/**
 * The prompt that ComfyUI's frontend would export: nodes that nobody knows have no class.
 * @throws MeshError `invalid_prompt` for what is no workflow.
 */
export function convertAloud(
  workflow: JsonObject,
  definitions: NodeDefinitions,
  say: Say,
): ConvertedPrompt {
  const { prompt, warnings } = convert(workflow, definitions)
  tell(warnings, prompt, say)
  return prompt
}

/**
 * The prompt to run: nodes that nobody knows keep their class, so that its refusal names it. They
 * are left to that refusal.
 * @throws MeshError `invalid_prompt` for what is no workflow.
 */
export function convertToRun(workflow: JsonObject, definitions: NodeDefinitions, say: Say): Prompt {
  const { prompt, warnings } = convert(workflow, definitions)
  const isUnknown = ({ unknownClass }: ConversionWarning) => unknownClass !== undefined
  tell(
    warnings.filter((warning) => !isUnknown(warning)),
    prompt,
    say,
  )
  const classes = new Map(warnings.map(({ nodeId, unknownClass }) => [nodeId, unknownClass]))
  const named = Object.entries(prompt).map(([id, node]): [NodeId, ConvertedPrompt[NodeId]] => {
    const unknown = classes.get(id)
    return [id, unknown === undefined ? node : { class_type: unknown, ...node }]
  })
  return Object.fromEntries(named) as Prompt
}

const convert = (workflow: JsonObject, definitions: NodeDefinitions): Conversion =>
  convertWorkflow(workflow, definitions, { now: new Date(), random: Math.random })

function tell(warnings: readonly ConversionWarning[], prompt: ConvertedPrompt, say: Say): void {
  for (const { nodeId, message } of warnings) {
    say(`Warning: ${nodeId === undefined ? '' : `${nodeName(prompt, nodeId)}: `}${message}`)
  }
}
