/**
 * Changes to a prompt from the command line: `--set node.input=value` and `--seed`.
 * Values are typed by the node's definition.
 */
import type { JsonValue } from '@comfymesh/protocol/json'
import { findInput, nodeName, titleOf } from '@comfymesh/protocol/prompt-nodes'
import {
  type InputSpec,
  isLink,
  type NodeDefinition,
  type NodeDefinitions,
  type NodeId,
  type Prompt,
} from '@comfymesh/protocol/workflow'
import { closest } from '../base/closest.ts'
import { UsageError } from './arguments.ts'

/**
 * The prompt with the edits made.
 * @param edits each `node.input=value`; the node by id, or by title or class where that is unique.
 * @throws UsageError naming the edit and what it could have been.
 */
export function editPrompt(
  prompt: Prompt,
  edits: readonly string[],
  definitions: NodeDefinitions,
): Prompt {
  const edited = structuredClone(prompt)
  for (const edit of edits) {
    const { nodeId, input, text } = parseEdit(edit, prompt)
    const node = edited[nodeId]!
    const refuse = (problem: string) => new UsageError(`--set ${edit}: ${problem}`)
    const spec = specOf(input, definitions[node.class_type], refuse)
    const value = typedValue(spec, text)
    if (value === undefined)
      throw refuse(mismatch(spec, text, `the ${input} of ${nodeName(prompt, nodeId)}`))
    node.inputs[input] = value
  }
  return edited
}

/** The prompt with this seed in every node that takes one. @throws UsageError when none does. */
export function seedPrompt(prompt: Prompt, written: string): Prompt {
  if (!/^\d+$/.test(written) || BigInt(written) > MAX_SEED) {
    throw new UsageError(`--seed should be a whole number from 0 to ${MAX_SEED}, not '${written}'.`)
  }
  const edited = structuredClone(prompt)
  let count = 0
  for (const node of Object.values(edited)) {
    for (const name of ['seed', 'noise_seed']) {
      const value = node.inputs[name]
      if (value === undefined || isLink(value)) continue
      node.inputs[name] = integer(written)
      count++
    }
  }
  if (count === 0) throw new UsageError('--seed: no node of this prompt has a seed of its own.')
  return edited
}

const MAX_SEED = 2n ** 64n - 1n

interface Edit {
  readonly nodeId: NodeId
  readonly input: string
  readonly text: string
}

function parseEdit(edit: string, prompt: Prompt): Edit {
  const equals = edit.indexOf('=')
  if (equals < 0) throw new UsageError(`--set ${edit}: write it as node.input=value.`)
  const found = findInput(prompt, edit.slice(0, equals))
  if (found === undefined) {
    const names = Object.entries(prompt).map(([id, node]) => `${id} (${titleOf(node)})`)
    throw new UsageError(`--set ${edit}: there is no such node. There are: ${names.join(', ')}.`)
  }
  if ('ambiguous' in found) {
    throw new UsageError(
      `--set ${edit}: several nodes are called that; say which by its id: ${found.ambiguous.join(', ')}.`,
    )
  }
  return { ...found, text: edit.slice(equals + 1) }
}

function specOf(
  input: string,
  definition: NodeDefinition | undefined,
  refuse: (problem: string) => UsageError,
): InputSpec {
  if (definition === undefined) throw refuse('the agent does not know the class of this node.')
  const specs = { ...definition.input.required, ...definition.input.optional }
  const spec = Object.hasOwn(specs, input) ? specs[input] : undefined
  if (spec !== undefined) return spec
  const names = Object.keys(specs)
  const meant = closest(input, names)
  const hint = meant === undefined ? `It has: ${names.join(', ')}.` : `Did you mean ${meant}?`
  throw refuse(`${definition.display_name} has no input '${input}'. ${hint}`)
}

/** The text as a value of the input's type; undefined when it is none. */
function typedValue([type]: InputSpec, text: string): JsonValue | undefined {
  if (typeof type !== 'string') return type.find((option) => String(option) === text)
  switch (type) {
    case 'INT':
      return /^[+-]?\d+$/.test(text.trim()) ? integer(text.trim()) : undefined
    case 'FLOAT': {
      const value = Number(text)
      return text.trim() === '' || !Number.isFinite(value) ? undefined : value
    }
    case 'BOOLEAN':
      if (/^(true|yes|on|1)$/i.test(text)) return true
      return /^(false|no|off|0)$/i.test(text) ? false : undefined
    case 'STRING':
    case 'COMBO':
      return text
    default:
      return undefined
  }
}

function integer(text: string): number | bigint {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}

const MOST_OPTIONS_SHOWN = 30

/** Why a text is no value of this input, and what is. @param which the input and its node in words. */
function mismatch([type]: InputSpec, text: string, which: string): string {
  if (typeof type !== 'string') return noSuchOption(type.map(String), text, which)
  const expected = expectations[type]
  if (expected !== undefined) return `${which} should be ${expected}, not '${text}'.`
  return `${which} is a ${type} that comes from another node and cannot be typed.`
}

const expectations: { readonly [type: string]: string } = {
  INT: 'a whole number',
  FLOAT: 'a number',
  BOOLEAN: 'true or false',
}

function noSuchOption(options: readonly string[], text: string, which: string): string {
  if (options.length === 0) return `${which} has nothing to choose from.`
  const meant = closest(text, options)
  const hint = meant === undefined ? '' : ` Did you mean ${meant}?`
  const more = options.length - MOST_OPTIONS_SHOWN
  const shown = options.slice(0, MOST_OPTIONS_SHOWN).join(', ')
  const rest = more > 0 ? `, and ${more} more` : ''
  return `${which} cannot be '${text}'.${hint} Choose one of: ${shown}${rest}.`
}
