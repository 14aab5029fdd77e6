/** Why a prompt was refused: what belongs to which node and field, and the rest. Pure. */
import { nodeName } from '@comfymesh/protocol/prompt-nodes'
import { type Complaint, complaintsOf, refusalSchema } from '@comfymesh/protocol/refusal'
import type { NodeDefinitions, NodeId, Prompt } from '@comfymesh/protocol/workflow'

export interface NodeProblem extends Complaint {
  /** In the prompt: `10:50` for a node inside of a subgraph. */
  readonly nodeId: NodeId
}

export interface RunProblems {
  readonly nodes: readonly NodeProblem[]
  /** What belongs to no node. */
  readonly general: readonly string[]
}

export const noProblems: RunProblems = { nodes: [], general: [] }

/** What came of sending a prompt, as an error tells it. */
interface FailedRequest {
  readonly message: string
  /** Of the answer, where there was one. */
  readonly body?: unknown
}

/** Why a prompt did not run, with what to do about it. @param prompt as it was sent. */
export function refusalProblems(
  { message, body }: FailedRequest,
  prompt: Prompt,
  definitions: NodeDefinitions,
): RunProblems {
  const refusal = refusalSchema.safeParse(body)
  if (!refusal.success) return { nodes: [], general: [message] }
  const complaints = complaintsOf(refusal.data, prompt, definitions)
  return {
    nodes: complaints.flatMap(({ nodeId, ...complaint }) =>
      nodeId === undefined ? [] : [{ nodeId, ...complaint }],
    ),
    general: complaints.flatMap(({ nodeId, text }) => (nodeId === undefined ? [text] : [])),
  }
}

export interface FormProblems {
  /** By the field's id, `nodeId.input`. */
  readonly byField: ReadonlyMap<string, string>
  /** What stands at no field. */
  readonly general: readonly string[]
}

/** The problems of a prompt as its form shows them. @param fields the ids of those that it has. */
export function formProblems(
  { nodes, general }: RunProblems,
  fields: ReadonlySet<string>,
  prompt: Prompt,
): FormProblems {
  const byField = new Map<string, string>()
  const others = [...general]
  for (const { nodeId, input, text } of nodes) {
    const field = `${nodeId}.${input}`
    if (fields.has(field)) byField.set(field, text)
    else others.push(`${nodeName(prompt, nodeId)}: ${text}`)
  }
  return { byField, general: byField.size > 0 ? [...others, SOME_WRONG] : others }
}

const SOME_WRONG = 'Some values are not right; the fields say which.'
