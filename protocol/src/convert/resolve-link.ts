/**
 * Where a link really comes from: through reroutes, bypassed nodes and the walls of
 * subgraphs to the node that computes the value.
 */
import { MeshError } from '../errors.ts'
import type { JsonValue } from '../json.ts'
import type { WorkflowLink } from './document.ts'
import { BYPASSED, MUTED, type NodeInstance } from './expand.ts'
import { takesAnything, typesFit } from './slot-types.ts'

export type LinkSource =
  | { readonly kind: 'output'; readonly node: NodeInstance; readonly slot: number }
  /** The value of a widget that an unlinked socket of a subgraph instance shows. */
  | { readonly kind: 'value'; readonly value: JsonValue }

/** A place on the way upstream. */
type Place =
  | {
      readonly side: 'input'
      readonly node: NodeInstance
      readonly slot: number
      readonly type?: string
      /** What the instances passed on the way out say, should the way end at an unlinked socket. */
      readonly shown?: JsonValue
    }
  | { readonly side: 'output'; readonly node: NodeInstance; readonly slot: number; type: string }

type InputPlace = Extract<Place, { side: 'input' }>

export interface LinkContext {
  /** The value that an instance gives to one of its own sockets. */
  readonly hostValue: (host: NodeInstance, slot: number) => JsonValue | undefined
  readonly warn: (message: string, nodeId: string) => void
}

/**
 * What feeds an input, or undefined when nothing does: it is not linked, or its source is
 * muted, bypassed without a fitting input, or missing.
 * @throws MeshError `invalid_prompt` when the way goes in a circle.
 */
export function resolveInput(
  node: NodeInstance,
  slot: number,
  context: LinkContext,
): LinkSource | undefined {
  const visited = new Set<string>()
  let place: Place | LinkSource | undefined = { side: 'input', node, slot }
  while (place !== undefined && 'side' in place) {
    const key = `${place.side} ${place.slot} ${place.node.id}`
    if (visited.has(key)) throw circular(node, slot)
    visited.add(key)
    place =
      place.side === 'input' ? upstreamOfInput(place, context) : upstreamOfOutput(place, context)
  }
  return place
}

function upstreamOfInput(place: InputPlace, context: LinkContext): Place | LinkSource | undefined {
  const { node, slot } = place
  const input = node.layout.inputs[slot]
  if (input?.linkId === undefined) return undefined
  const link = node.within.graph.links.get(input.linkId)
  if (link !== undefined) return originOf(place, link, context)
  context.warn(`The link of "${input.name}" leads nowhere, so it was left out.`, node.id)
  return undefined
}

/** The output that a link comes from; a socket of the instance around for one from outside. */
function originOf(
  { node, slot, type, shown }: InputPlace,
  link: WorkflowLink,
  context: LinkContext,
): Place | LinkSource | undefined {
  const { host, nodes } = node.within
  if (host !== undefined && link.originId === host.subgraph.inputNodeId) {
    return fromOutside(host, link.originSlot, shown, context)
  }
  const origin = nodes.get(link.originId)
  if (origin === undefined) {
    context.warn(`A link comes from node ${link.originId}, which is not there.`, node.id)
    return undefined
  }
  const wanted = type ?? node.layout.inputs[slot]!.type
  return { side: 'output', node: origin, slot: link.originSlot, type: wanted }
}

/** What an outer instance says about a value counts more than what an inner one says. */
function fromOutside(
  host: NodeInstance,
  slot: number,
  shownInside: JsonValue | undefined,
  { hostValue }: LinkContext,
): Place | LinkSource | undefined {
  const shown = hostValue(host, slot) ?? shownInside
  const isLinked = host.layout.inputs[slot]?.linkId !== undefined
  if (isLinked) return { side: 'input', node: host, slot, ...(shown !== undefined && { shown }) }
  return shown === undefined ? undefined : { kind: 'value', value: shown }
}

function upstreamOfOutput(
  place: Extract<Place, { side: 'output' }>,
  context: LinkContext,
): Place | LinkSource | undefined {
  const { node, slot, type } = place
  if (node.node.mode === MUTED) return undefined
  if (node.node.mode === BYPASSED) {
    const matching = bypassSlot(place)
    return matching < 0 ? undefined : { side: 'input', node, slot: matching }
  }
  if (node.kind === 'executed') return { kind: 'output', node, slot }
  if (node.kind === 'virtual') return { side: 'input', node, slot, type }
  const { inner, subgraph } = node
  const link = subgraph.outputLinks.get(slot)
  if (link === undefined) return undefined
  if (link.originId === subgraph.inputNodeId)
    return fromOutside(node, link.originSlot, undefined, context)
  const origin = inner.nodes.get(link.originId)
  return origin && { side: 'output', node: origin, slot: link.originSlot, type }
}

/**
 * The input that a bypassed node passes on: the one in the same place if it fits both ends,
 * else the first of just the type that is asked for, else the first that fits. -1 for none.
 * @param place an output, and the type of the input that it is to feed.
 */
function bypassSlot({ node, slot, type }: Extract<Place, { side: 'output' }>): number {
  const { inputs, outputTypes } = node.layout
  if (takesAnything(type)) return inputs.length > slot ? slot : 0
  const outputType = outputTypes[slot] ?? '*'
  const fits = (input: { readonly type: string }) =>
    typesFit(input.type, outputType) && typesFit(input.type, type)
  const opposite = inputs[slot]
  if (opposite !== undefined && fits(opposite)) return slot
  const exact = inputs.findIndex((input) => input.type === type)
  return exact >= 0 ? exact : inputs.findIndex(fits)
}

function circular(node: NodeInstance, slot: number): MeshError {
  const name = node.layout.inputs[slot]?.name ?? String(slot)
  return new MeshError(
    'invalid_prompt',
    `The links that lead to "${name}" of node ${node.id} go in a circle of bypassed nodes or reroutes. Remove one of them.`,
    { details: { nodeId: node.id, input: name } },
  )
}
