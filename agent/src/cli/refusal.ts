/**
 * A prompt that was not accepted, as a user reads it: ComfyUI's words, and after them what to do.
 * Whoever asks over HTTP gets ComfyUI's words alone, which clients compare.
 */
import { unknownClassMessage } from '@comfymesh/protocol/convert/unknown-class'
import { stringifyJson } from '@comfymesh/protocol/json'
import { nodeName, printable } from '@comfymesh/protocol/prompt-nodes'
import type { NodeDefinitions, NodeId, Prompt } from '@comfymesh/protocol/workflow'
import type { NodeErrors, Problem } from '../planning/problem.ts'
import { type AgentAddress, nodeDefinitions, type Refusal } from './agent-client.ts'

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
  { error, node_errors }: Refusal,
  prompt: Prompt,
  definitions: NodeDefinitions,
): string[] {
  // Validation stops at the first one.
  const unknown = error.type === 'missing_node_type' ? unknownNodeLines(prompt, definitions) : []
  if (unknown.length > 0) return unknown
  const lines = complaintLines(node_errors, prompt)
  if (lines.length > 0) return lines
  const details = error.details ? ` ${error.details}` : ''
  const advice = error.type === 'prompt_no_outputs' ? `. ${ADD_AN_OUTPUT}` : ''
  return [printable(`${error.message}${details}${advice}`)]
}

const ADD_AN_OUTPUT = 'Add a SaveImage or a PreviewImage and link the picture to it.'

function unknownNodeLines(prompt: Prompt, definitions: NodeDefinitions): string[] {
  return Object.entries(prompt).flatMap(([id, node]) => {
    const className: unknown = node.class_type
    if (typeof className === 'string' && Object.hasOwn(definitions, className)) return []
    const why = typeof className === 'string' ? unknownClassMessage(className) : NO_CLASS
    return [printable(`${nodeName(prompt, id)}: ${why}`)]
  })
}

const NO_CLASS =
  'It has no class_type, as when a program exports a node that it does not know. ' +
  'Give it one that GET /object_info lists, or take it out.'

/** What is wrong with the nodes, a line a complaint. */
export function complaintLines(nodeErrors: NodeErrors, prompt: Prompt): string[] {
  return Object.entries(nodeErrors).flatMap(([nodeId, { errors }]) =>
    errors.map((problem) => {
      const about = problem.details ? ` (${problem.details})` : ''
      const advice = adviceOn[problem.type]?.(problem, prompt, nodeId)
      const words = `${nodeName(prompt, nodeId)}: ${problem.message}${about}`
      return printable(advice === undefined ? words : `${words}. ${advice}`)
    }),
  )
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
