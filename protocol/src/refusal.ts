/**
 * A prompt that was not accepted. The answer has ComfyUI's words alone, which clients compare; people
 * read them with what to do, and what ComfyUI tells of one node only, of all. Pure.
 */
import { z } from 'zod'
import { unknownClassMessage } from './convert/unknown-class.ts'
import type { JsonObject } from './json.ts'
import { nodeName, printable } from './prompt-nodes.ts'
import type { NodeDefinitions, NodeId, Prompt } from './workflow.ts'

const jsonObject = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
)

/** One thing wrong with a prompt or node, as ComfyUI's clients know it. */
const problemSchema = z.object({
  type: z.string(),
  message: z.string(),
  details: z.string(),
  extra_info: jsonObject,
})

const nodeProblemsSchema = z.object({
  errors: z.array(problemSchema).readonly(),
  /** The output nodes that cannot run because of it. */
  dependent_outputs: z.array(z.string()).readonly(),
  class_type: z.string(),
})

const nodeErrorsSchema = z.record(z.string(), nodeProblemsSchema)

/** What POST /prompt answers to a prompt that it does not accept. */
export const refusalSchema = z.object({ error: problemSchema, node_errors: nodeErrorsSchema })

export type Problem = Readonly<z.infer<typeof problemSchema>>
export type NodeProblems = Readonly<z.infer<typeof nodeProblemsSchema>>
export type NodeErrors = Readonly<z.infer<typeof nodeErrorsSchema>>
export type Refusal = Readonly<z.infer<typeof refusalSchema>>

/** One thing that keeps a prompt from running, as people read it. */
export interface Complaint {
  /** Absent where it is about the prompt as a whole. */
  readonly nodeId?: NodeId
  /** The input in question, where it is one. */
  readonly input?: string
  /** What is wrong and what to do; the node is not named in it. On one line. */
  readonly text: string
}

/** Why a prompt was not accepted: one complaint at least. @param prompt as it was sent. */
export function complaintsOf(
  { error, node_errors }: Refusal,
  prompt: Prompt,
  definitions: NodeDefinitions,
): Complaint[] {
  // Validation stops at the first one.
  const unknown = error.type === 'missing_node_type' ? unknownNodes(prompt, definitions) : []
  if (unknown.length > 0) return unknown
  const complaints = nodeComplaints(node_errors, prompt)
  if (complaints.length > 0) return complaints
  const { node_id: nodeId } = error.extra_info
  const text = inWords(error, error.type === 'prompt_no_outputs' ? ADD_AN_OUTPUT : undefined)
  return [{ ...(typeof nodeId === 'string' && { nodeId }), text }]
}

const ADD_AN_OUTPUT = 'Add a SaveImage or a PreviewImage and link the picture to it.'

function unknownNodes(prompt: Prompt, definitions: NodeDefinitions): Complaint[] {
  return Object.entries(prompt).flatMap(([nodeId, node]) => {
    const className: unknown = node.class_type
    if (typeof className === 'string' && Object.hasOwn(definitions, className)) return []
    const why = typeof className === 'string' ? unknownClassMessage(className) : NO_CLASS
    return [{ nodeId, text: printable(why) }]
  })
}

const NO_CLASS =
  'It has no class_type, as when a program exports a node that it does not know. ' +
  'Give it one that GET /object_info lists, or take it out.'

/** What is wrong with the nodes of a prompt, which may have been accepted without them. */
export function nodeComplaints(nodeErrors: NodeErrors, prompt: Prompt): Complaint[] {
  return Object.entries(nodeErrors).flatMap(([nodeId, { errors }]) =>
    errors.map((problem) => {
      const { input_name: input } = problem.extra_info
      const text = inWords(problem, adviceOn[problem.type]?.(problem, prompt, nodeId))
      return { nodeId, ...(typeof input === 'string' && { input }), text }
    }),
  )
}

function inWords({ message, details }: Problem, advice: string | undefined): string {
  const words = details === '' ? message : `${message} (${details})`
  return printable(advice === undefined ? words : `${words}. ${advice}`)
}

type Advice = (problem: Problem, prompt: Prompt, nodeId: NodeId) => string | undefined

/** The folder that the files of an input come from. */
const folderOf: { readonly [input: string]: string | undefined } = {
  ckpt_name: 'checkpoints',
  clip_name: 'text_encoders',
  lora_name: 'loras',
  unet_name: 'diffusion_models',
  vae_name: 'vae',
}

/** A model that no machine has, or a value of a list that is too long to be in the words. */
const unknownValueAdvice: Advice = ({ details, extra_info }, prompt, nodeId) => {
  const folder = folderOf[String(extra_info.input_name)]
  if (folder !== undefined) {
    return (
      `No machine offers it: put the file into the ${folder} folder of one, or start its agent with ` +
      '--models and your models folder; `comfymesh doctor` tells what was found where.'
    )
  }
  if (!details.includes('list of length')) return undefined
  return `GET /object_info/${prompt[nodeId]?.class_type} lists what is possible.`
}

const wrongLinkAdvice: Advice = ({ extra_info: { input_name, linked_node } }, prompt) => {
  const [source] = Array.isArray(linked_node) ? linked_node : []
  const name = nodeName(prompt, String(source))
  return `Link ${input_name} to an output of its own type; now it is linked to ${name}.`
}

/** Python only says the id that it did not find. */
const lostLinkAdvice: Advice = (_, prompt, nodeId) => {
  const lost = Object.entries(prompt[nodeId]?.inputs ?? {}).flatMap(([input, value]) => {
    const source = Array.isArray(value) && value.length === 2 ? String(value[0]) : undefined
    return source === undefined || Object.hasOwn(prompt, source) ? [] : [{ input, source }]
  })
  if (lost.length === 0) return undefined
  const links = lost.map(({ input, source }) => `${input} is linked to node ${source}`)
  const which =
    lost.length === 1 ? 'which the prompt does not have' : 'none of which the prompt has'
  return `Its input ${links.join(', ')}, ${which}. Add that node, or link the input to another.`
}

/** What to do about a problem whose words alone do not say it, by its type. */
const adviceOn: { readonly [problemType: string]: Advice | undefined } = {
  value_not_in_list: unknownValueAdvice,
  return_type_mismatch: wrongLinkAdvice,
  exception_during_validation: lostLinkAdvice,
  exception_during_inner_validation: lostLinkAdvice,
}
