/**
 * How much a node of a prompt has to do, as far as the prompt tells: which model it uses, how
 * many steps, how large the picture. What it takes per unit is learned, see learned-times.ts.
 */
import { createHash } from 'node:crypto'
import { type JsonValue, stringifyJson } from '@comfymesh/protocol/json'
import { isLink, type NodeId, type Prompt } from '@comfymesh/protocol/workflow'

export interface NodeMeasure {
  readonly nodeId: NodeId
  readonly classType: string
  /** The file name of the model that the node uses, with forward slashes; '' for none. */
  readonly model: string
  /** Steps times pixels times pictures; what a prompt does not tell counts as 1. */
  readonly work: number
}

export interface NodeWork extends NodeMeasure {
  /** The same for nodes of the same class, inputs and ancestors: one of two such is known already. */
  readonly content: string
}

/** What a node says itself or has from those it is linked to. */
interface Traits {
  readonly model: string | undefined
  readonly pixels: number | undefined
  readonly pictures: number | undefined
}

/** The work of every node that the outputs need. */
export function worksOf(prompt: Prompt, outputs: readonly NodeId[]): NodeWork[] {
  const order = inOrder(prompt, outputs)
  const contents = new Map<NodeId, string>()
  for (const id of order) contents.set(id, contentOf(prompt, id, contents))
  return measuresOf(prompt, order).map((measure) => ({
    ...measure,
    content: contents.get(measure.nodeId)!,
  }))
}

/** @param order nodes, each after those it is linked to. */
export function measuresOf(prompt: Prompt, order: Iterable<NodeId>): NodeMeasure[] {
  const traits = new Map<NodeId, Traits>()
  for (const nodeId of order) traits.set(nodeId, traitsOf(prompt, nodeId, traits))
  return [...traits].map(([nodeId, { model = '', pixels = 1, pictures = 1 }]) => {
    const work = stepsOf(prompt, nodeId, traits) * pixels * pictures
    return { nodeId, classType: prompt[nodeId]!.class_type, model, work }
  })
}

/** The nodes that the outputs need, each after those it is linked to. */
function inOrder(prompt: Prompt, outputs: readonly NodeId[]): Set<NodeId> {
  const order = new Set<NodeId>()
  const entered = new Set<NodeId>()
  const stack = outputs.filter((id) => Object.hasOwn(prompt, id)).reverse()
  for (let id = stack.at(-1); id !== undefined; id = stack.at(-1)) {
    if (entered.has(id)) {
      stack.pop()
      order.add(id)
      continue
    }
    entered.add(id)
    stack.push(...sourcesOf(prompt, id).filter((source) => !entered.has(source)))
  }
  return order
}

function sourcesOf(prompt: Prompt, id: NodeId): NodeId[] {
  return Object.values(prompt[id]!.inputs).flatMap((value) =>
    isLink(value) && Object.hasOwn(prompt, value[0]) ? [value[0]] : [],
  )
}

/** Of what the node does not say itself, the first input that has it tells. */
function traitsOf(prompt: Prompt, id: NodeId, traits: ReadonlyMap<NodeId, Traits>): Traits {
  const { inputs } = prompt[id]!
  let model = ownModel(inputs)
  let pixels = ownPixels(inputs)
  let pictures = count(inputs.batch_size)
  for (const value of Object.values(inputs)) {
    const above = isLink(value) ? traits.get(value[0]) : undefined
    model ??= above?.model
    pixels ??= above?.pixels
    pictures ??= above?.pictures
  }
  return { model, pixels, pictures }
}

function contentOf(prompt: Prompt, id: NodeId, contents: ReadonlyMap<NodeId, string>): string {
  const { class_type, inputs } = prompt[id]!
  const linked = Object.entries(inputs).map(([name, value]) => [
    name,
    isLink(value) ? [contents.get(value[0]) ?? value[0], value[1]] : value,
  ])
  return createHash('sha256')
    .update(stringifyJson([class_type, linked]))
    .digest('base64')
}

type Inputs = { readonly [name: string]: JsonValue }

/** Models that change another one; the other is what takes the time. */
const ADDITION = /^(lora|embedding|hypernetwork)_?name$/
const MODEL_FILE = /\.(safetensors|sft|ckpt|pt|pth|gguf|onnx)$/i

function ownModel(inputs: Inputs): string | undefined {
  const named = Object.entries(inputs).find(
    ([name, value]) => typeof value === 'string' && MODEL_FILE.test(value) && !ADDITION.test(name),
  )
  // As on Windows it may stand with backslashes.
  return (named?.[1] as string | undefined)?.replaceAll('\\', '/')
}

function ownPixels({ width, height }: Inputs): number | undefined {
  const [wide, high] = [count(width), count(height)]
  return wide === undefined || high === undefined ? undefined : wide * high
}

function count(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' ? Math.max(1, value) : undefined
}

/** A sampler's own steps, its part of them, or those of the schedule that it is linked to. */
function stepsOf(prompt: Prompt, id: NodeId, traits: ReadonlyMap<NodeId, Traits>): number {
  const { sigmas, steps, start_at_step: start, end_at_step: end } = prompt[id]!.inputs
  if (isLink(sigmas) && traits.has(sigmas[0])) return count(prompt[sigmas[0]]!.inputs.steps) ?? 1
  const all = count(steps) ?? 1
  const last = typeof end === 'number' ? Math.min(end, all) : all
  return Math.max(1, last - (typeof start === 'number' ? start : 0))
}
