/**
 * Widgets of inner nodes that a subgraph instance shows as its own. From frontend 1.46 on an
 * instance has values of its own for them; before, what it saved was never read.
 */
import type { JsonValue } from '../json.ts'
import type { WorkflowDocument } from './document.ts'
import type { GraphInstance, NodeInstance, SubgraphNode } from './expand.ts'
import type { NodeInput, Widget } from './node-layout.ts'
import { controlSlots } from './widget-types.ts'

const FIRST_WITH_OWN_VALUES = [1, 46] as const

/**
 * Whether values of instances count. A file that does not say who wrote it is read as
 * today's frontends read it.
 */
export function instancesHaveValues({ frontendVersion }: WorkflowDocument): boolean {
  const [major = 0, minor = 0] = (frontendVersion ?? '').split('.').map(Number)
  const [firstMajor, firstMinor] = FIRST_WITH_OWN_VALUES
  if (frontendVersion === undefined || Number.isNaN(major + minor)) return true
  return major > firstMajor || (major === firstMajor && minor >= firstMinor)
}

/** The widgets that a socket of an instance stands for, however deep inside. */
export function promotedWidgets(host: SubgraphNode, slot: number): Widget[] {
  return insideInputs(host, slot).flatMap(({ node, input, index }) => {
    if (node.kind === 'subgraph') return promotedWidgets(node, index)
    return input.widget === undefined ? [] : [input.widget]
  })
}

interface InsideInput {
  readonly node: NodeInstance
  readonly input: NodeInput
  readonly index: number
}

/** The inputs of inner nodes that are linked to a socket of the instance. */
function insideInputs({ inner, subgraph }: SubgraphNode, slot: number): InsideInput[] {
  return (subgraph.inputLinks.get(slot) ?? []).flatMap((link) => {
    const node = inner.nodes.get(link.targetId)
    const index = node?.layout.inputs.findIndex(({ linkId }) => linkId === link.id) ?? -1
    const input = node?.layout.inputs[index]
    return node === undefined || input === undefined ? [] : [{ node, input, index }]
  })
}

/** What instances say about their sockets, by instance and slot. */
export type HostValues = ReadonlyMap<NodeInstance, ReadonlyMap<number, JsonValue>>

/**
 * The values that the instances of a drawing have; what an outer instance says about an
 * inner one wins, so outer ones are read last. Values for widgets without a socket go to the widgets.
 */
export function readHostValues(nodes: readonly NodeInstance[]): HostValues {
  const all = new Map<NodeInstance, Map<number, JsonValue>>()
  const valuesOf = (host: NodeInstance) => {
    const values = all.get(host) ?? new Map<number, JsonValue>()
    all.set(host, values)
    return values
  }
  for (const host of nodes.toReversed()) {
    if (host.kind !== 'subgraph') continue
    for (const { target, value } of saidBy(host)) {
      if (typeof target === 'number') valuesOf(host).set(target, value)
      else setInside(host.inner, target, value, valuesOf)
    }
  }
  return all
}

interface Said {
  /** A socket of the instance, or a widget of an inner node. */
  readonly target: number | { readonly nodeId: string; readonly widgetName: string }
  readonly value: JsonValue
}

/** Values are listed as `proxyWidgets` is, or as the sockets that stand for widgets are. */
function saidBy(host: SubgraphNode): Said[] {
  const { widgetValues, properties } = host.node
  if (!Array.isArray(widgetValues)) return []
  const { proxyWidgets } = properties
  if (Array.isArray(proxyWidgets) && proxyWidgets.length > 0) {
    return proxyWidgets.flatMap((entry, index): Said[] => {
      const value: JsonValue | undefined = widgetValues[index]
      if (!Array.isArray(entry) || value === undefined || value === null) return []
      const [nodeId, widgetName] = entry.map(String)
      if (nodeId === undefined || widgetName === undefined) return []
      const slot = host.layout.inputs.findIndex(({ name }) => name === widgetName)
      if (nodeId === '-1') return slot < 0 ? [] : [{ target: slot, value }]
      return [{ target: { nodeId, widgetName }, value }]
    })
  }
  return saidBySockets(host, widgetValues)
}

function saidBySockets(host: SubgraphNode, values: readonly JsonValue[]): Said[] {
  const sockets = host.layout.inputs.flatMap((_, slot) => {
    const [widget] = promotedWidgets(host, slot)
    return widget === undefined ? [] : [{ slot, widget }]
  })
  // Some files have a value for what happens after each run too, as the inner node has.
  const hasControls = values.length > sockets.length
  let at = 0
  return sockets.flatMap(({ slot, widget }) => {
    const value = values[at++]
    if (hasControls) at += controlSlots(widget.name, widget.spec)
    return value === undefined || value === null ? [] : [{ target: slot, value }]
  })
}

function setInside(
  inner: GraphInstance,
  { nodeId, widgetName }: Exclude<Said['target'], number>,
  value: JsonValue,
  valuesOf: (host: NodeInstance) => Map<number, JsonValue>,
): void {
  const node = inner.nodes.get(nodeId)
  if (node?.kind === 'subgraph') {
    const slot = node.layout.inputs.findIndex(({ name }) => name === widgetName)
    if (slot >= 0) valuesOf(node).set(slot, value)
    return
  }
  const widget = node?.layout.widgets.find(({ name }) => name === widgetName)
  if (widget !== undefined) widget.value = value
}
