/** A workflow becomes a prompt for a command: what is odd is told on standard error. */
import { type ConvertedPrompt, convertWorkflow } from '@comfymesh/protocol/convert/convert-workflow'
import type { JsonObject } from '@comfymesh/protocol/json'
import { titleOf } from '@comfymesh/protocol/prompt-nodes'
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'

/** @throws MeshError `invalid_prompt` for what is no workflow. */
export function convertAloud(
  workflow: JsonObject,
  definitions: NodeDefinitions,
  say: (line: string) => void,
): Prompt {
  const { prompt, warnings } = convertWorkflow(workflow, definitions, {
    now: new Date(),
    random: Math.random,
  })
  for (const { nodeId, message } of warnings) say(`Warning: ${called(nodeId, prompt)}${message}`)
  // A node without a class is refused by whoever runs the prompt, in better words than ours.
  return prompt as Prompt
}

function called(nodeId: string | undefined, prompt: ConvertedPrompt): string {
  const node = nodeId === undefined ? undefined : prompt[nodeId]
  if (nodeId === undefined) return ''
  return node?.class_type === undefined ? `node ${nodeId}: ` : `${titleOf(node)} (node ${nodeId}): `
}
