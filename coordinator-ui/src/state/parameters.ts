/**
 * What a user can change in a prompt without looking at its graph: each constant input
 * that the node definitions know, with the control that fits its type. Pure.
 */
import { resolveDynamicPrompt } from '@comfymesh/protocol/convert/text-replacement'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import {
  type InputSpec,
  isLink,
  type NodeDefinition,
  type NodeDefinitions,
  type NodeId,
  type Prompt,
} from '@comfymesh/protocol/workflow'

export type Control =
  | {
      readonly kind: 'text'
      readonly isMultiline: boolean
      /** `{a|b}` is one of them, another in each run. */
      readonly hasChoices: boolean
    }
  | { readonly kind: 'seed' }
  | {
      readonly kind: 'number'
      readonly isInteger: boolean
      readonly min: number
      readonly max: number
      readonly step: number
    }
  | { readonly kind: 'choice'; readonly options: readonly string[] }
  | { readonly kind: 'picture'; readonly options: readonly string[] }
  | { readonly kind: 'switch' }

export interface Parameter {
  /** `nodeId.input`; unique in a prompt. */
  readonly id: string
  readonly nodeId: NodeId
  readonly input: string
  readonly label: string
  readonly control: Control
  readonly value: JsonValue
  /** What ComfyUI's author wrote about it. */
  readonly tooltip?: string
  /** Shown first, without being asked for. */
  readonly isMain: boolean
  /** The node's name, for those that are not. */
  readonly nodeTitle: string
}

/** All parameters of the prompt, the main ones first in the order in which people think of them. */
export function parametersOf(prompt: Prompt, definitions: NodeDefinitions): Parameter[] {
  const roles = textRoles(prompt)
  const changesPicture = Object.values(prompt).some(({ inputs }) => 'image' in inputs)
  const all = Object.entries(prompt).flatMap(([nodeId, node]) => {
    const definition = definitions[node.class_type]
    if (definition === undefined) return []
    const nodeTitle = node._meta?.title || definition.display_name || node.class_type
    return specsOf(definition).flatMap(([input, spec]) => {
      const value = node.inputs[input]
      const control = controlFor(input, spec)
      if (value === undefined || isLink(value) || control === undefined) return []
      const role = roles.get(`${nodeId}.${input}`)
      const main = role ?? (input === 'denoise' && !changesPicture ? undefined : mainInputs[input])
      const { tooltip } = spec[1] ?? {}
      const parameter: Parameter = {
        id: `${nodeId}.${input}`,
        nodeId,
        input,
        label: main?.label ?? labelOf(input),
        control,
        value,
        isMain: main !== undefined,
        nodeTitle,
        ...(typeof tooltip === 'string' && { tooltip }),
      }
      return [{ parameter, rank: main?.rank ?? Number.POSITIVE_INFINITY }]
    })
  })
  return all.sort((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank)).map((one) => one.parameter)
}

/** The prompt with one value changed. */
export function withValue(prompt: Prompt, parameter: Parameter, value: JsonValue): Prompt {
  const node = prompt[parameter.nodeId]!
  const inputs = { ...node.inputs, [parameter.input]: value }
  return { ...prompt, [parameter.nodeId]: { ...node, inputs } }
}

/** The prompt with a new seed wherever there is one. */
export function withSeeds(prompt: Prompt, parameters: readonly Parameter[], seed: () => JsonValue) {
  return parameters
    .filter(({ control }) => control.kind === 'seed')
    .reduce((changed, parameter) => withValue(changed, parameter, seed()), prompt)
}

/** The prompt with one choice of each `{a|b}` in its texts, as ComfyUI's frontend sends it. */
export function withChoices(
  prompt: Prompt,
  parameters: readonly Parameter[],
  random: () => number,
): Prompt {
  return parameters.reduce((changed, parameter) => {
    const { control, value } = parameter
    if (control.kind !== 'text' || !control.hasChoices || typeof value !== 'string') return changed
    const resolved = resolveDynamicPrompt(value, random)
    return resolved === value ? changed : withValue(changed, parameter, resolved)
  }, prompt)
}

interface Role {
  readonly label: string
  readonly rank: number
}

const mainInputs: { readonly [input: string]: Role } = {
  image: { label: 'Picture', rank: 2 },
  ckpt_name: { label: 'Model', rank: 3 },
  lora_name: { label: 'LoRA', rank: 4 },
  strength_model: { label: 'LoRA strength', rank: 5 },
  width: { label: 'Width', rank: 6 },
  height: { label: 'Height', rank: 7 },
  batch_size: { label: 'Pictures', rank: 8 },
  seed: { label: 'Seed', rank: 9 },
  noise_seed: { label: 'Seed', rank: 9 },
  steps: { label: 'Steps', rank: 10 },
  cfg: { label: 'Guidance', rank: 11 },
  denoise: { label: 'Strength of change', rank: 12 },
}

/**
 * Which texts say what to draw and which what to avoid: those that lead into the `positive`
 * and the `negative` of a sampler, through whatever nodes.
 */
function textRoles(prompt: Prompt): Map<string, Role> {
  const roles = new Map<string, Role>()
  const sides = [
    { side: 'negative', role: { label: 'Avoid', rank: 1 } },
    { side: 'positive', role: { label: 'Prompt', rank: 0 } },
  ] as const
  for (const { inputs } of Object.values(prompt)) {
    for (const { side, role } of sides) {
      const start = inputs[side]
      if (!isLink(start)) continue
      for (const id of textsAbove(prompt, start[0])) roles.set(id, role)
    }
  }
  return roles
}

function textsAbove(prompt: Prompt, start: NodeId): string[] {
  const found: string[] = []
  const seen = new Set<NodeId>()
  const waiting = [start]
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const node = prompt[id]
    if (node === undefined || seen.has(id)) continue
    seen.add(id)
    if (typeof node.inputs.text === 'string') found.push(`${id}.text`)
    else if (isLink(node.inputs.text)) found.push(`${node.inputs.text[0]}.value`)
    for (const [name, value] of Object.entries(node.inputs)) {
      if (isLink(value) && name.startsWith('conditioning')) waiting.push(value[0])
    }
  }
  return found
}

function specsOf({ input }: NodeDefinition): [string, InputSpec][] {
  return Object.entries({ ...input.required, ...input.optional })
}

function controlFor(name: string, [type, settings = {}]: InputSpec): Control | undefined {
  if (typeof type !== 'string') return choice(type, settings)
  switch (type) {
    case 'COMBO':
      return choice(Array.isArray(settings.options) ? settings.options : [], settings)
    case 'STRING':
      return {
        kind: 'text',
        isMultiline: settings.multiline === true,
        hasChoices: settings.dynamicPrompts === true,
      }
    case 'BOOLEAN':
      return { kind: 'switch' }
    case 'INT':
      if (name === 'seed' || name === 'noise_seed') return { kind: 'seed' }
      return number(settings, true)
    case 'FLOAT':
      return number(settings, false)
    default:
      return undefined
  }
}

function choice(options: readonly JsonValue[], { image_upload }: JsonObject): Control {
  return { kind: image_upload === true ? 'picture' : 'choice', options: options.map(String) }
}

function number({ min, max, step }: JsonObject, isInteger: boolean): Control {
  return {
    kind: 'number',
    isInteger,
    min: Number(min ?? Number.MIN_SAFE_INTEGER),
    max: Number(max ?? Number.MAX_SAFE_INTEGER),
    step: Number(step ?? (isInteger ? 1 : 0.01)),
  }
}

/** `filename_prefix` -> `Filename prefix`. */
function labelOf(input: string): string {
  const words = input.replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}
