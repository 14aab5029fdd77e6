/** Edits of the values of widgets, at the places where the file keeps them. */
import { isObject } from '@comfymesh/protocol/convert/document'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import {
  type EditorNodeId,
  listOf,
  nodeIdOf,
  nodesOf,
  type Workflow,
  withNode,
} from './document.ts'
import type { WidgetView } from './node-parts.ts'
import { type NodeView, nodeView, viewById } from './node-view.ts'
import { steppedNumber } from './widget-control.ts'

/** What ComfyUI's frontend does with a value after each run. */
export const AFTER_RUN = ['fixed', 'increment', 'decrement', 'randomize'] as const

export function setWidget(
  workflow: Workflow,
  { nodeId, name }: { readonly nodeId: EditorNodeId; readonly name: string },
  value: JsonValue,
  definitions: NodeDefinitions,
): Workflow {
  const view = viewById(workflow, nodeId, definitions)
  const widget = view?.widgets.find((one) => one.name === name)
  if (view === undefined || widget?.at === undefined || widget.value === value) return workflow
  const changed = withNode(workflow, nodeId, (node) => withValue(node, view, widget.at!, value))
  const isDynamic = widget.control.kind === 'choice' && widget.control.isDynamic
  return isDynamic ? withValuesOf(changed, view, definitions) : changed
}

export function setAfterRun(
  workflow: Workflow,
  { nodeId, name }: { readonly nodeId: EditorNodeId; readonly name: string },
  value: string,
  definitions: NodeDefinitions,
): Workflow {
  const view = viewById(workflow, nodeId, definitions)
  const at = view?.widgets.find((one) => one.name === name)?.afterRun?.at
  if (view === undefined || at === undefined) return workflow
  return withNode(workflow, nodeId, (node) => withValue(node, view, at, value))
}

function withValue(
  node: JsonObject,
  view: NodeView,
  at: number | string,
  value: JsonValue,
): JsonObject {
  const { widgets_values: before } = node
  if (typeof at === 'string') {
    return { ...node, widgets_values: { ...(isObject(before) ? before : {}), [at]: value } }
  }
  const values = [...listOf(before)]
  // Values that a file is short of are those that it was shown with.
  while (values.length < at) values.push(shownAt(view, values.length))
  values[at] = value
  return { ...node, widgets_values: values }
}

function shownAt({ widgets }: NodeView, at: number): JsonValue {
  const widget = widgets.find((one) => one.at === at)
  if (widget !== undefined) return widget.value ?? null
  return widgets.find(({ afterRun }) => afterRun?.at === at)?.afterRun?.value ?? null
}

/** Another choice asks for other values: those of the same name stay, the others are new. */
function withValuesOf(
  workflow: Workflow,
  before: NodeView,
  definitions: NodeDefinitions,
): Workflow {
  const after = viewById(workflow, before.id, definitions)
  if (after === undefined) return workflow
  const kept = new Map(before.widgets.map((widget) => [widget.name, widget]))
  const values: JsonValue[] = []
  for (const widget of after.widgets) {
    if (typeof widget.at !== 'number') continue
    values[widget.at] = valueAfterChoice(widget, kept.get(widget.name)) ?? null
    if (widget.afterRun !== undefined) {
      values[widget.afterRun.at] = kept.get(widget.name)?.afterRun?.value ?? 'fixed'
    }
  }
  return withNode(workflow, before.id, (node) => ({
    ...node,
    widgets_values: Array.from(values, (value) => value ?? null),
  }))
}

/** A new widget is a place in the list that held something else before. */
function valueAfterChoice(now: WidgetView, before: WidgetView | undefined) {
  if (now.control.kind === 'choice' && now.control.isDynamic) return now.value
  return before?.value ?? now.initial
}

/**
 * The workflow after a run: seeds are raised, lowered or drawn anew where the user wants it.
 * @param random from 0 up to 1.
 */
export function afterRun(
  workflow: Workflow,
  definitions: NodeDefinitions,
  random: () => number,
): Workflow {
  return nodesOf(workflow).reduce((changed, node) => {
    const view = nodeView(node, workflow, definitions)
    return view.widgets.reduce((one, widget) => {
      const value = valueAfterRun(widget, random)
      if (value === undefined) return one
      return setWidget(one, { nodeId: nodeIdOf(node), name: widget.name }, value, definitions)
    }, changed)
  }, workflow)
}

function valueAfterRun(
  { control, value, afterRun: what, input }: WidgetView,
  random: () => number,
): JsonValue | undefined {
  if (what === undefined || what.value === 'fixed' || input?.linkId !== undefined) return undefined
  if (control.kind === 'choice') return optionAfterRun(control.options, value, what.value, random)
  if (control.kind !== 'integer' && control.kind !== 'decimal') return undefined
  if (what.value === 'increment') return steppedNumber(control, value, 1)
  if (what.value === 'decrement') return steppedNumber(control, value, -1)
  if (what.value !== 'randomize') return undefined
  const least = Math.max(Number(control.min), -LARGEST_RANDOM)
  const range = Math.min(Number(control.max), LARGEST_RANDOM) - least
  const drawn = least + random() * range
  if (control.kind === 'decimal') return steppedNumber(control, drawn, 0)
  return steppedNumber(control, Math.floor(drawn), 0)
}

/** As far as ComfyUI's frontend goes: every such number is exact. */
const LARGEST_RANDOM = 2 ** 50

function optionAfterRun(
  options: readonly JsonValue[],
  value: JsonValue | undefined,
  what: string,
  random: () => number,
): JsonValue | undefined {
  const at = value === undefined ? -1 : options.indexOf(value)
  const last = options.length - 1
  if (what === 'increment') return options[Math.min(last, at + 1)]
  if (what === 'decrement') return options[Math.max(0, at - 1)]
  return what === 'randomize' ? options[Math.floor(random() * options.length)] : undefined
}
