/** What a node has: its sockets, and its widgets with the places of their values. */
import { isObject, objectOf, readNode } from '@comfymesh/protocol/convert/document'
import { layoutNode, type NodeInput, type Widget } from '@comfymesh/protocol/convert/node-layout'
import { defaultOf, settingsOf } from '@comfymesh/protocol/convert/widget-types'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { InputSpec, NodeDefinition, NodeDefinitions } from '@comfymesh/protocol/workflow'
import { type LinkId, linksOf, listOf, nodeIdOf, nodeOf, type Workflow } from './document.ts'
import { controlOf, type WidgetControl } from './widget-control.ts'

/**
 * `unknown`: nobody here has the class. The others that are no `class` exist in drawings alone;
 * `sockets` are those of a subgraph, seen from inside.
 */
export type NodeKind =
  | 'class'
  | 'unknown'
  | 'subgraph'
  | 'reroute'
  | 'note'
  | 'primitive'
  | 'sockets'

export interface InputView {
  /** Unique in the node: the name, and which of that name. */
  readonly key: string
  readonly name: string
  readonly label: string
  readonly type: string
  readonly linkId?: LinkId
  readonly isOptional: boolean
  readonly tooltip?: string
}

export interface WidgetView {
  readonly name: string
  readonly label: string
  readonly value: JsonValue | undefined
  /** What a new node has. */
  readonly initial?: JsonValue
  readonly control: WidgetControl
  /** Where the file keeps the value; it cannot be changed where there is no such place. */
  readonly at?: number | string
  /** What becomes of the value after each run. */
  readonly afterRun?: { readonly at: number; readonly value: string }
  /** The socket that a link can take the value's place at. */
  readonly input?: InputView
  readonly tooltip?: string
}

export interface OutputView {
  readonly slot: number
  readonly name: string
  readonly type: string
  readonly isLinked: boolean
}

export interface NodeParts {
  /** Sockets that only a link can fill. */
  readonly inputs: readonly InputView[]
  readonly widgets: readonly WidgetView[]
  readonly outputs: readonly OutputView[]
}

/** Every socket that a link can end at, in the order of the node. */
export function allInputs({ inputs, widgets }: NodeParts): InputView[] {
  return [...inputs, ...widgets.flatMap(({ input }) => input ?? [])]
}

/** What the definition of the class says the node has. */
export function definedParts(node: JsonObject, definition: NodeDefinition): NodeParts {
  const layout = layoutNode(readNode(node, 'a node'), definition)
  const optional = definition.input.optional ?? {}
  const key = keyMaker()
  const views = layout.inputs.map((input) => {
    const spec = specOf(definition, input.name)
    return { input, view: inputView(input, key(input.name), spec, input.name in optional) }
  })
  const widgets = layout.widgets.map((widget) => {
    const own = views.find(({ input }) => input.widget === widget)?.view
    return widgetView(node, widget, own)
  })
  const linked = linkedSlots(node)
  return {
    inputs: views.filter(({ input }) => input.widget === undefined).map(({ view }) => view),
    widgets,
    outputs: layout.outputTypes.map((type, slot) => ({
      slot,
      name: definition.output_name[slot] || type,
      type,
      isLinked: linked.has(slot),
    })),
  }
}

function specOf({ input }: NodeDefinition, name: string): InputSpec | undefined {
  return input.required?.[name] ?? input.optional?.[name]
}

function inputView(
  { name, type, linkId }: NodeInput,
  key: string,
  spec: InputSpec | undefined,
  isOptional: boolean,
): InputView {
  const { tooltip } = spec ? settingsOf(spec) : {}
  return {
    key,
    name,
    label: labelOf(name, spec),
    type,
    isOptional,
    ...(linkId !== undefined && { linkId }),
    ...(typeof tooltip === 'string' && { tooltip }),
  }
}

function labelOf(name: string, spec: InputSpec | undefined): string {
  const { display_name: label } = spec ? settingsOf(spec) : {}
  return typeof label === 'string' && label !== '' ? label : name
}

function widgetView(node: JsonObject, widget: Widget, input: InputView | undefined): WidgetView {
  const { name, spec, value, at, controlAt } = widget
  const { tooltip } = settingsOf(spec)
  const initial = defaultOf(spec)
  const afterRun = listOf(node.widgets_values)[controlAt ?? -1]
  return {
    name,
    label: labelOf(name, spec),
    value,
    ...(initial !== undefined && { initial }),
    control: controlOf(spec),
    ...(at !== undefined && { at }),
    ...(controlAt !== undefined && {
      afterRun: { at: controlAt, value: typeof afterRun === 'string' ? afterRun : 'fixed' },
    }),
    ...(input !== undefined && { input }),
    ...(typeof tooltip === 'string' && { tooltip }),
  }
}

/** What the file says that a node of no known class has. */
export function drawnParts(
  node: JsonObject,
  kind: NodeKind,
  workflow: Workflow,
  definitions: NodeDefinitions,
): NodeParts {
  const read = readNode(node, 'a node')
  const key = keyMaker()
  const linked = linkedSlots(node)
  const names = listOf(node.outputs).map((output) => objectOf(output).name)
  return {
    inputs: read.inputs.map((slot) => inputView(slot, key(slot.name), undefined, true)),
    widgets: drawnWidgets(node, kind, workflow, definitions),
    outputs: read.outputTypes.map((type, slot) => ({
      slot,
      name: typeof names[slot] === 'string' && names[slot] !== '' ? String(names[slot]) : type,
      type,
      isLinked: linked.has(slot),
    })),
  }
}

const NOTE_SPEC: InputSpec = ['STRING', { multiline: true }]

function drawnWidgets(
  node: JsonObject,
  kind: NodeKind,
  workflow: Workflow,
  definitions: NodeDefinitions,
): WidgetView[] {
  const values = listOf(node.widgets_values)
  if (kind === 'note') return [drawnWidget('text', NOTE_SPEC, values[0] ?? '', 0)]
  if (kind === 'primitive') {
    const target = primitiveTarget(node, workflow, definitions)
    if (target === undefined) return []
    const { widget, spec } = target
    const hasAfterRun = typeof values[1] === 'string'
    return [
      {
        ...drawnWidget(widget, spec, values[0], 0),
        ...(hasAfterRun && { afterRun: { at: 1, value: String(values[1]) } }),
      },
    ]
  }
  if (kind !== 'unknown') return []
  return values.map((value, at) => ({
    name: String(at + 1),
    label: `value ${at + 1}`,
    value,
    control: { kind: 'kept' },
  }))
}

const drawnWidget = (
  name: string,
  spec: InputSpec,
  value: JsonValue | undefined,
  at: number,
): WidgetView => ({ name, label: name, value, control: controlOf(spec), at })

/** A primitive is a widget of the first node that it is linked to. */
function primitiveTarget(node: JsonObject, workflow: Workflow, definitions: NodeDefinitions) {
  const link = linksOf(workflow).find(({ originId }) => originId === nodeIdOf(node))
  const target = link && nodeOf(workflow, link.targetId)
  if (target === undefined || !Object.hasOwn(definitions, String(target.type))) return undefined
  const slot = listOf(target.inputs).find((one) => String(objectOf(one).link) === link?.id)
  const widget = String(objectOf(slot).name)
  const spec = specOf(definitions[String(target.type)]!, widget)
  return spec && { widget, spec }
}

function linkedSlots(node: JsonObject): ReadonlySet<number> {
  return new Set(
    listOf(node.outputs).flatMap((output, slot) =>
      isObject(output) && listOf(output.links).length > 0 ? [slot] : [],
    ),
  )
}

/** `clip`, and `clip#1` for a second one of the name. */
function keyMaker(): (name: string) => string {
  const counts = new Map<string, number>()
  return (name) => {
    const count = counts.get(name) ?? 0
    counts.set(name, count + 1)
    return count === 0 ? name : `${name}#${count}`
  }
}

/** Where an input stands in the file's list; -1 where the file does not list it. */
export function slotOfInput(node: JsonObject, wanted: string): number {
  const key = keyMaker()
  return listOf(node.inputs).findIndex((slot) => key(String(objectOf(slot).name ?? '')) === wanted)
}
