/** A prompt that was not accepted, as a user of the command line reads it. */
import { stringifyJson } from '@comfymesh/protocol/json'
import { nodeName } from '@comfymesh/protocol/prompt-nodes'
import {
  type Complaint,
  complaintsOf,
  type NodeErrors,
  nodeComplaints,
  type Refusal,
} from '@comfymesh/protocol/refusal'
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import { type AgentAddress, nodeDefinitions } from './agent-client.ts'

/** Tells of it, as text or as JSON. @returns the exit code. */
export async function tellRefusal(
  agent: AgentAddress,
  { refusal, prompt, asJson }: { refusal: Refusal; prompt: Prompt; asJson: boolean },
): Promise<number> {
  const problems = refusalLines(refusal, prompt, await nodeDefinitions(agent))
  if (asJson) console.log(stringifyJson({ status: 'refused', problems }))
  else {
    console.error('The prompt was not accepted:')
    for (const line of problems) console.error(`  ${line}`)
  }
  return 2
}

/** Why a prompt was not accepted, a line a complaint. */
export function refusalLines(
  refusal: Refusal,
  prompt: Prompt,
  definitions: NodeDefinitions,
): string[] {
  return complaintsOf(refusal, prompt, definitions).map(lineOf(prompt))
}

/** What is wrong with the nodes, a line a complaint. */
export function complaintLines(nodeErrors: NodeErrors, prompt: Prompt): string[] {
  return nodeComplaints(nodeErrors, prompt).map(lineOf(prompt))
}

const lineOf =
  (prompt: Prompt) =>
  ({ nodeId, text }: Complaint): string =>
    nodeId === undefined ? text : `${nodeName(prompt, nodeId)}: ${text}`
