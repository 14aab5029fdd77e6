/**
 * ComfyUI's validation of a prompt: which of its outputs can run, and what is
 * wrong with the others, in ComfyUI's own words and shapes. Pure; the checks that
 * need a disk (does that picture exist?) are passed in.
 */
import type { JsonValue } from '@comfymesh/protocol/json'
import type { NodeErrors, NodeProblems, Problem } from '@comfymesh/protocol/refusal'
import {
  isLink,
  type NodeDefinitions,
  type NodeId,
  type Prompt,
} from '@comfymesh/protocol/workflow'
import { problem } from './problem.ts'
import {
  type CustomValidation,
  customProblems,
  type Examined,
  examineNode,
  PythonError,
  type SoundLink,
} from './validate-node.ts'
import { firstMalformed } from './validate-shape.ts'

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

/**
 * A broken prompt of thousands of nodes is told of as far as it helps: what names each node at each
 * other one would be gigabytes.
 */
const tellAtMost = { cycles: 20, nodesOfCycle: 100, steps: 200_000 }

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

interface FailedNode extends NodeProblems {
  readonly dependent_outputs: NodeId[]
}

/** How a node was reached: as an output, or by a link of another node. */
interface Visit {
  readonly id: NodeId
  readonly examined: Examined
  readonly by?: SoundLink
  /** How many of its links have been followed. */
  followed: number
}

/**
 * The depth-first walk from the outputs to everything they depend on, each node once.
 * Its path is a list, not the stack of calls: a chain of nodes may be of any length.
 */
class Walk {
  readonly #prompt: Prompt
  readonly #input: ValidationInput
  readonly #verdicts = new Map<NodeId, { valid: boolean; problems: readonly Problem[] }>()
  /** Cycles that run through a node that is still being walked. */
  readonly #cycles = new Map<NodeId, Problem>()
  #cyclesTold = 0
  readonly #path: Visit[] = []
  readonly #depths = new Map<NodeId, number>()

  constructor(prompt: Prompt, input: ValidationInput) {
    this.#prompt = prompt
    this.#input = input
  }

  isValid(id: NodeId): boolean {
    return this.#verdicts.get(id)?.valid ?? false
  }

  problemsOf(id: NodeId): readonly Problem[] {
    return this.#verdicts.get(id)?.problems ?? []
  }

  async output(output: NodeId): Promise<void> {
    if (!this.#verdicts.has(output)) this.#enter(output)
    for (let visit = this.#path.at(-1); visit !== undefined; visit = this.#path.at(-1)) {
      const link = visit.examined.links[visit.followed++]
      if (link === undefined) {
        this.#verdicts.set(visit.id, await this.#verdict(visit))
        this.#path.pop()
        this.#depths.delete(visit.id)
      } else if (this.#depths.has(link.source)) this.#noteCycle(link.source)
      else if (!this.#verdicts.has(link.source)) this.#enter(link.source, link)
    }
  }

  /**
   * Problems by node, each with those of the failed outputs that depend on it; where there are
   * too many of both, with the first of those.
   */
  errors(failedOutputs: readonly NodeId[]): NodeErrors {
    const errors = new Map<NodeId, FailedNode>()
    const told = new Set<NodeId>()
    let steps = 0
    for (const output of failedOutputs) {
      const passed = steps < tellAtMost.steps ? new Set<NodeId>() : told
      const walk = ancestors(this.#prompt, output, passed)
      steps += walk.steps
      for (const id of walk.found) {
        told.add(id)
        const problems = this.problemsOf(id)
        if (problems.length === 0) continue
        const class_type = this.#prompt[id]!.class_type
        const entry: FailedNode = errors.get(id) ?? {
          errors: problems,
          dependent_outputs: [],
          class_type,
        }
        entry.dependent_outputs.push(output)
        errors.set(id, entry)
      }
    }
    return Object.fromEntries(errors)
  }

  #enter(id: NodeId, by?: SoundLink): void {
    const { definitions, custom } = this.#input
    const judged = (classType: string) => custom?.(classType)?.inputs ?? []
    const examined = examineNode(id, { prompt: this.#prompt, definitions, judged })
    this.#depths.set(id, this.#path.length)
    this.#path.push({ id, examined, followed: 0, ...(by && { by }) })
  }

  async #verdict({ id, examined, by }: Visit) {
    const { class_type, inputs } = this.#prompt[id]!
    if (examined.failure !== undefined) return failed(examined.failure, by)
    const problems = [...examined.problems]
    const cycle = this.#cycles.get(id)
    if (cycle !== undefined) problems.unshift(cycle)
    const custom = this.#input.custom?.(class_type)
    try {
      if (custom !== undefined) problems.push(...(await customProblems(custom, inputs)))
    } catch (thrown) {
      return failed(thrown as Error, by)
    }
    const isSound = ({ source }: SoundLink) => this.isValid(source)
    return { valid: problems.length === 0 && examined.links.every(isSound), problems }
  }

  /** Only for the words: a node of a cycle is unsound because its link is not sound yet. */
  #noteCycle(start: NodeId): void {
    if (this.#cyclesTold++ >= tellAtMost.cycles) return
    const depth = this.#depths.get(start)!
    const left = this.#path.length - depth - tellAtMost.nodesOfCycle
    const nodes = this.#path.slice(depth, depth + tellAtMost.nodesOfCycle).map(({ id }) => id)
    const named = nodes.map((id) => `${id} (${this.#prompt[id]!.class_type})`)
    if (left > 0) named.push(`... ${left} more`)
    named.push(`${start} (${this.#prompt[start]!.class_type})`)
    for (const node_id of nodes) {
      if (this.#cycles.has(node_id)) continue
      const extra = { node_id, cycle_nodes: nodes }
      this.#cycles.set(node_id, problem('dependency_cycle', named.join(' -> '), extra))
    }
  }
}

/** The verdict on a node whose validation threw. */
function failed(error: Error, by: SoundLink | undefined) {
  const { message } = error
  const exception_type = error instanceof PythonError ? error.exceptionType : 'RuntimeError'
  const thrown = { exception_type, traceback: [message] }
  const found =
    by === undefined
      ? problem('exception_during_validation', message, thrown)
      : problem('exception_during_inner_validation', message, {
          ...by.about,
          exception_message: message,
          ...thrown,
        })
  return { valid: false, problems: [found] }
}

/**
 * A node and everything it depends on, in the order of a depth-first walk, save what was passed
 * before; and how many links were followed.
 */
function ancestors(prompt: Prompt, id: NodeId, passed: Set<NodeId>) {
  const found: NodeId[] = []
  const pending = [id]
  let steps = 0
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    steps += 1
    if (passed.has(next) || !Object.hasOwn(prompt, next)) continue
    passed.add(next)
    found.push(next)
    for (const value of Object.values(prompt[next]!.inputs ?? {})) {
      if (isLink(value)) pending.push(value[0])
    }
  }
  return { found, steps }
}
