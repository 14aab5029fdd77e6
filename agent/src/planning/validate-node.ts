/**
 * One node of a prompt against its class: what is wrong with its own inputs, and
 * which nodes it is linked to. What those are worth is for the walk in validate.ts.
 */
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { Problem } from '@comfymesh/protocol/refusal'
import type { NodeDefinitions, NodeId, Prompt } from '@comfymesh/protocol/workflow'
import { declaredInputs } from './graph.ts'
import { problem } from './problem.ts'
import { pythonRepr, pythonText, pythonTypeName } from './python-text.ts'
import { checkConstant, typesMatch } from './validate-input.ts'
import { isObject } from './validate-shape.ts'

/** Inputs of a class that its own code judges (ComfyUI's VALIDATE_INPUTS). */
export interface CustomValidation {
  readonly inputs: readonly string[]
  check(constants: JsonObject): Promise<string | undefined>
}

/** What Python would have thrown where a link leads nowhere or a node has no inputs. */
export class PythonError extends Error {
  readonly exceptionType: string

  constructor(exceptionType: string, message: string) {
    super(message)
    this.exceptionType = exceptionType
  }
}

/** A link that fits its input. */
export interface SoundLink {
  readonly source: NodeId
  /** What ComfyUI tells of the link when its source turns out to be broken. */
  readonly about: JsonObject
}

export interface Examined {
  readonly problems: readonly Problem[]
  /** In the order of the inputs; up to the failure, if there is one. */
  readonly links: readonly SoundLink[]
  /** What kept the rest of the inputs from being looked at. */
  readonly failure?: PythonError
}

export interface Examination {
  /** Its constants are coerced in place. */
  readonly prompt: Prompt
  readonly definitions: NodeDefinitions
  readonly judged: (classType: string) => readonly string[]
}

export function examineNode(id: NodeId, examination: Examination): Examined {
  const problems: Problem[] = []
  const links: SoundLink[] = []
  try {
    examineInputs(id, examination, problems, links)
    return { problems, links }
  } catch (thrown) {
    if (!(thrown instanceof PythonError)) throw thrown
    return { problems, links, failure: thrown }
  }
}

function examineInputs(
  id: NodeId,
  examination: Examination,
  problems: Problem[],
  links: SoundLink[],
): void {
  const { class_type, inputs } = examination.prompt[id]!
  if (inputs === undefined) throw new PythonError('KeyError', "'inputs'")
  if (!isObject(inputs)) {
    const type = pythonTypeName(inputs)
    throw new PythonError('TypeError', `argument of type '${type}' is not iterable`)
  }
  const definition = examination.definitions[class_type]!
  const judged = examination.judged(class_type)
  for (const [name, config] of declaredInputs(definition)) {
    const value = inputs[name]
    if (value === undefined) {
      if (definition.input.required?.[name] === undefined) continue
      problems.push(problem('required_input_missing', name, { input_name: name }))
    } else if (Array.isArray(value)) {
      const link = examineLink(name, config, value, examination)
      if ('source' in link) links.push(link)
      else problems.push(link)
    } else {
      const { value: coerced, found } = checkConstant(name, config, value, judged.includes(name))
      inputs[name] = coerced
      if (found !== undefined) problems.push(found)
    }
  }
}

function examineLink(
  name: string,
  config: JsonValue[],
  link: JsonValue[],
  { prompt, definitions }: Examination,
): SoundLink | Problem {
  const about = { input_name: name, input_config: config }
  if (link.length !== 2)
    return problem('bad_linked_input', name, { ...about, received_value: link })
  const [id, slot] = link as [JsonValue, JsonValue]
  if (typeof id === 'object' && id !== null)
    throw new PythonError('TypeError', `unhashable type: '${pythonTypeName(id)}'`)
  if (typeof id !== 'string' || !Object.hasOwn(prompt, id))
    throw new PythonError('KeyError', pythonRepr(id))
  const received = outputType(definitions[prompt[id]!.class_type]!.output, slot)
  if (typesMatch(received, config[0]!))
    return { source: id, about: { ...about, linked_node: link } }
  const types = `received_type(${pythonText(received)}) mismatch input_type(${pythonText(config[0])})`
  const extra = { ...about, received_type: received, linked_node: link }
  return problem('return_type_mismatch', `${name}, ${types}`, extra)
}

/** As Python indexes a tuple: from its end where the slot is negative, and False is 0. */
function outputType(types: readonly JsonValue[], slot: JsonValue): JsonValue {
  const isWhole = Number.isInteger(slot) || typeof slot === 'bigint' || typeof slot === 'boolean'
  if (!isWhole) {
    const type = pythonTypeName(slot)
    throw new PythonError('TypeError', `tuple indices must be integers or slices, not ${type}`)
  }
  const type = types.at(Number(slot))
  if (type === undefined) throw new PythonError('IndexError', 'tuple index out of range')
  return type
}

/** What the class's own code says of the constants that it judges. */
export async function customProblems(
  custom: CustomValidation,
  inputs: { readonly [name: string]: JsonValue },
): Promise<Problem[]> {
  const constants = Object.fromEntries(
    Object.entries(inputs).filter(([, value]) => !Array.isArray(value)),
  )
  const judged = custom.inputs.filter((name) => name in constants)
  if (judged.length === 0) return []
  const complaint = await custom.check(constants)
  if (complaint === undefined) return []
  return judged.map((name) =>
    problem('custom_validation_failed', `${name} - ${complaint}`, { input_name: name }),
  )
}
