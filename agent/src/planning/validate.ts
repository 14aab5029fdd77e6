/**
 * ComfyUI's validation of a prompt: which of its outputs can run, and what is
 * wrong with the others, in ComfyUI's own words and shapes. Pure; the checks that
 * need a disk (does that picture exist?) are passed in.
 */
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import {
  isLink,
  type NodeDefinitions,
  type NodeId,
  type Prompt,
} from '@comfymesh/protocol/workflow'
import { declaredInputs } from './graph.ts'
import {
  type FixedProblem,
  type NodeErrors,
  type NodeProblems,
  type Problem,
  problem,
} from './problem.ts'
import { pythonRepr, pythonText } from './python-text.ts'
import { checkConstant, typesMatch } from './validate-input.ts'
import { firstMalformed, isObject } from './validate-shape.ts'

/** Inputs of a class that its own code judges (ComfyUI's VALIDATE_INPUTS). */
export interface CustomValidation {
  readonly inputs: readonly string[]
  check(constants: JsonObject): Promise<string | undefined>
}

export interface ValidationInput {
  readonly prompt: JsonValue
  readonly definitions: NodeDefinitions
  /** Only these output nodes are wanted (ComfyUI's partial_execution_targets). */
  readonly targets?: readonly NodeId[]
  readonly custom?: (classType: string) => CustomValidation | undefined
}

export type ValidationResult =
  | {
      readonly valid: true
      /** A copy of the prompt with its constants coerced to their types. */
      readonly prompt: Prompt
      readonly outputs: readonly NodeId[]
      /** About outputs that were left out; empty when all is well. */
      readonly nodeErrors: NodeErrors
    }
  | { readonly valid: false; readonly error: Problem; readonly nodeErrors: NodeErrors }

/** Validates; one output that can run is enough for a prompt to be accepted. */
export async function validatePrompt(input: ValidationInput): Promise<ValidationResult> {
  const malformed = firstMalformed(input.prompt, input.definitions)
  if (malformed !== undefined) return { valid: false, error: malformed, nodeErrors: {} }
  const prompt = structuredClone(input.prompt) as unknown as Prompt
  const targets = Object.keys(prompt).filter(
    (id) =>
      input.definitions[prompt[id]!.class_type]!.output_node &&
      (input.targets?.includes(id) ?? true),
  )
  if (targets.length === 0)
    return { valid: false, error: problem('prompt_no_outputs', '', {}), nodeErrors: {} }

  const walk = new Walk(prompt, input)
  for (const id of targets) await walk.output(id)
  const outputs = targets.filter((id) => walk.isValid(id))
  const nodeErrors = walk.errors(targets.filter((id) => !walk.isValid(id)))
  if (outputs.length > 0) return { valid: true, prompt, outputs, nodeErrors }
  const lines = targets
    .flatMap((id) => walk.problemsOf(id))
    .map((p) => `${p.message}: ${p.details}`)
  const error = problem('prompt_outputs_failed_validation', lines.join('\n'), {})
  return { valid: false, error, nodeErrors }
}

/** What Python would have thrown where a link leads nowhere or a node has no inputs. */
class PythonError extends Error {
  readonly exceptionType: string

  constructor(exceptionType: string, message: string) {
    super(message)
    this.exceptionType = exceptionType
  }
}

/** The depth-first walk from the outputs to everything they depend on, each node once. */
class Walk {
  readonly #prompt: Prompt
  readonly #input: ValidationInput
  readonly #validity = new Map<NodeId, { valid: boolean; problems: Problem[] }>()
  readonly #path: NodeId[] = []

  constructor(prompt: Prompt, input: ValidationInput) {
    this.#prompt = prompt
    this.#input = input
  }

  isValid(id: NodeId): boolean {
    return this.#validity.get(id)?.valid ?? false
  }

  problemsOf(id: NodeId): readonly Problem[] {
    return this.#validity.get(id)?.problems ?? []
  }

  async output(id: NodeId): Promise<void> {
    try {
      await this.#node(id)
    } catch (thrown) {
      this.#fail(id, 'exception_during_validation', thrown, {})
    }
  }

  /** Problems by node, each with those of the failed outputs that depend on it. */
  errors(failedOutputs: readonly NodeId[]): NodeErrors {
    const errors = new Map<NodeId, NodeProblems>()
    for (const output of failedOutputs) {
      for (const id of ancestors(this.#prompt, output)) {
        const problems = this.problemsOf(id)
        if (problems.length === 0) continue
        const dependent_outputs = [...(errors.get(id)?.dependent_outputs ?? []), output]
        const class_type = this.#prompt[id]!.class_type
        errors.set(id, { errors: problems, dependent_outputs, class_type })
      }
    }
    return Object.fromEntries(errors)
  }

  async #node(id: NodeId): Promise<boolean> {
    const known = this.#validity.get(id)
    if (known !== undefined) return known.valid
    const cycleStart = this.#path.indexOf(id)
    if (cycleStart >= 0) return this.#cycle(this.#path.slice(cycleStart))
    this.#path.push(id)
    try {
      const { valid, problems } = await this.#inputs(id)
      // A cycle through this node has been noted while its inputs were followed.
      const noted = this.#validity.get(id)?.problems ?? []
      const isSound = valid && problems.length === 0 && noted.length === 0
      this.#validity.set(id, { valid: isSound, problems: [...noted, ...problems] })
      return isSound
    } finally {
      this.#path.pop()
    }
  }

  async #inputs(id: NodeId): Promise<{ valid: boolean; problems: Problem[] }> {
    const { class_type, inputs } = this.#prompt[id]!
    if (!isObject(inputs)) throw new PythonError('KeyError', "'inputs'")
    const definition = this.#input.definitions[class_type]!
    const custom = this.#input.custom?.(class_type)
    const problems: Problem[] = []
    let valid = true
    for (const [name, config] of declaredInputs(definition)) {
      const value = inputs[name]
      if (value === undefined) {
        if (definition.input.required?.[name] === undefined) continue
        problems.push(problem('required_input_missing', name, { input_name: name }))
      } else if (Array.isArray(value)) {
        const linked = await this.#link(name, config, value)
        if (linked !== true) valid = false
        if (typeof linked === 'object') problems.push(linked)
      } else {
        const judged = custom?.inputs.includes(name) ?? false
        const { value: coerced, found } = checkConstant(name, config, value, judged)
        inputs[name] = coerced
        if (found !== undefined) problems.push(found)
      }
    }
    if (custom !== undefined) problems.push(...(await customProblems(custom, inputs)))
    return { valid, problems }
  }

  /** True when the linked node is sound, false when its own problems say why not. */
  async #link(name: string, config: JsonValue[], link: JsonValue[]): Promise<boolean | Problem> {
    const about = { input_name: name, input_config: config }
    if (link.length !== 2)
      return problem('bad_linked_input', name, { ...about, received_value: link })
    const [id, slot] = link as [JsonValue, JsonValue]
    const received = this.#outputType(id, slot)
    if (!typesMatch(received, config[0]!)) {
      const types = `received_type(${pythonText(received)}) mismatch input_type(${pythonText(config[0])})`
      const extra = { ...about, received_type: received, linked_node: link }
      return problem('return_type_mismatch', `${name}, ${types}`, extra)
    }
    const source = id as NodeId
    try {
      return await this.#node(source)
    } catch (thrown) {
      this.#fail(source, 'exception_during_inner_validation', thrown, {
        ...about,
        linked_node: link,
      })
      return false
    }
  }

  #outputType(id: JsonValue, slot: JsonValue): JsonValue {
    if (typeof id === 'object' && id !== null)
      throw new PythonError(
        'TypeError',
        `unhashable type: '${Array.isArray(id) ? 'list' : 'dict'}'`,
      )
    if (typeof id !== 'string' || !Object.hasOwn(this.#prompt, id))
      throw new PythonError('KeyError', pythonRepr(id))
    const types = this.#input.definitions[this.#prompt[id]!.class_type]!.output
    const type = typeof slot === 'number' ? types[slot] : undefined
    if (type === undefined) throw new PythonError('IndexError', 'tuple index out of range')
    return type
  }

  #cycle(nodes: readonly NodeId[]): false {
    const named = [...nodes, nodes[0]!].map((id) => `${id} (${this.#prompt[id]!.class_type})`)
    for (const node_id of nodes) {
      const extra = { node_id, cycle_nodes: [...nodes] }
      const found = problem('dependency_cycle', named.join(' -> '), extra)
      const problems = this.problemsOf(node_id)
      // Set while the node is still being walked; `#node` keeps it.
      if (!problems.some(({ type }) => type === found.type))
        this.#validity.set(node_id, { valid: false, problems: [...problems, found] })
    }
    return false
  }

  #fail(id: NodeId, type: FixedProblem, thrown: unknown, extra: JsonObject): void {
    const { message } = thrown as Error
    const exception_type = thrown instanceof PythonError ? thrown.exceptionType : 'RuntimeError'
    const inner = 'input_name' in extra ? { exception_message: message } : {}
    const extra_info = { ...extra, ...inner, exception_type, traceback: [message] }
    this.#validity.set(id, { valid: false, problems: [problem(type, message, extra_info)] })
  }
}

async function customProblems(
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

/** A node and everything it depends on, in the order of a depth-first walk. */
function ancestors(prompt: Prompt, id: NodeId): Set<NodeId> {
  const found = new Set<NodeId>()
  const pending = [id]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (found.has(next) || !Object.hasOwn(prompt, next)) continue
    found.add(next)
    for (const value of Object.values(prompt[next]!.inputs ?? {})) {
      if (isLink(value)) pending.push(value[0])
    }
  }
  return found
}
