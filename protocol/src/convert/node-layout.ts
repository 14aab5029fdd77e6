/**
 * What a drawn node has in ComfyUI's frontend: its widgets with their values, and its
 * sockets with their links, both in the frontend's order. A saved node lists values
 * without names, so their meaning follows from the definition of its class alone.
 */
import { type JsonObject, type JsonValue, stringifyJson } from '../json.ts'
import type { InputSpec, NodeDefinition } from '../workflow.ts'
import { isObject, objectOf, type WorkflowNode, type WorkflowSlot } from './document.ts'
import {
  controlSlots,
  defaultOf,
  hasControl,
  isWidget,
  settingsOf,
  typeOf,
  valueInPrompt,
} from './widget-types.ts'

export interface Widget {
  readonly name: string
  readonly spec: InputSpec
  /** Undefined where neither the file nor the definition has one. */
  value: JsonValue | undefined
  /** Where the file keeps the value: its place in the list, or its name. */
  readonly at?: number | string
  /** Where the list says what becomes of the value after each run. */
  readonly controlAt?: number
}

export interface NodeInput {
  readonly name: string
  readonly type: string
  readonly linkId?: string
  /** The widget that a link to this input replaces. */
  readonly widget?: Widget
}

export interface NodeLayout {
  readonly inputs: readonly NodeInput[]
  readonly widgets: readonly Widget[]
  readonly outputTypes: readonly string[]
}

/** Of a class that nobody knows: every value is called UNKNOWN, as in the frontend. */
export function unknownLayout(node: WorkflowNode): NodeLayout {
  const values = Array.isArray(node.widgetValues) ? node.widgetValues : []
  return {
    inputs: node.inputs.map((slot) => inputOf(slot.name, slot.type, slot)),
    widgets: values.map((value) => ({
      name: 'UNKNOWN',
      spec: ['*'],
      value: typeof value === 'object' && value !== null ? stringifyJson(value) : value,
    })),
    outputTypes: node.outputTypes,
  }
}

/** Of a node that the frontend knows without a definition: sockets as they are drawn. */
export function plainLayout(node: WorkflowNode): NodeLayout {
  const inputs = node.inputs.map((slot) => inputOf(slot.name, slot.type, slot))
  return { inputs, widgets: [], outputTypes: node.outputTypes }
}

export function layoutNode(node: WorkflowNode, definition: NodeDefinition): NodeLayout {
  const specs = orderedSpecs(definition)
  const slots = new Map(node.inputs.map((slot) => [slot.name, slot]))
  const values = valueReader(node.widgetValues, forcedInputs(node.widgetValues, specs))
  const sockets: NodeInput[] = []
  const widgets: Widget[] = []

  function add([name, spec, isOptional]: NamedSpec, values: ValueReader): void {
    const type = typeOf(spec)
    if (type === 'COMFY_AUTOGROW_V3') {
      const { first, grown } = groupInputs(name, spec, slots)
      const template = templateOf(spec)
      for (const one of first) add([one, template, true], values)
      for (const one of grown) add([one, template, true], noValues)
    } else if (type === 'COMFY_MATCHTYPE_V3') {
      const allowed = objectOf(settingsOf(spec).template).allowed_types
      sockets.push(inputOf(name, typeof allowed === 'string' ? allowed : '*', slots.get(name)))
    } else if (!isWidget(spec, isOptional)) {
      sockets.push(inputOf(name, type, slots.get(name)))
    } else addWidget(name, spec, values)
  }

  function addWidget(name: string, spec: InputSpec, values: ValueReader): void {
    const { given, at } = values.take(name)
    const widget = { name, spec, value: given === undefined ? defaultOf(spec) : given }
    const controlAt = values.skip(controlSlots(name, spec))
    widgets.push({
      ...widget,
      value: valueInPrompt(node.type, widget),
      ...(at !== undefined && { at }),
      ...(controlAt !== undefined && hasControl(spec) && { controlAt }),
    })
    if (isObject(settingsOf(spec).remote) && objectOf(settingsOf(spec).remote).refresh_button) {
      values.skip(REFRESH_SLOTS)
      widgets.push({ name: 'refresh', spec: ['BUTTON'], value: 'refresh' })
    }
    for (const [key, inner, isOptional] of chosenInputs(spec, given)) {
      add([`${name}.${key}`, inner, isOptional], given === null ? noValues : values)
    }
  }

  for (const spec of specs) add(spec, values)
  const outputTypes = (definition.output ?? []).map(outputType)
  return { inputs: allInputs(node, sockets, widgets, slots), widgets, outputTypes }
}

/** An output that is as its inputs are fits anything that they fit. */
const outputType = (type: unknown): string =>
  type === 'COMFY_MATCHTYPE_V3' ? '*' : typeof type === 'string' ? type : 'COMBO'

/** A choice that a server lists has a switch and a button behind it. */
const REFRESH_SLOTS = 2

type NamedSpec = readonly [name: string, spec: InputSpec, isOptional: boolean]

/** In the order of `input_order`; what it does not name comes after, as it was written. */
function orderedSpecs({ input, input_order: order }: NodeDefinition): NamedSpec[] {
  const required = input?.required ?? {}
  const optional = input?.optional ?? {}
  const named = [
    ...(order?.required ?? []).map((name) => [required, name, false] as const),
    ...(order?.optional ?? []).map((name) => [optional, name, true] as const),
    ...Object.keys(required).map((name) => [required, name, false] as const),
    ...Object.keys(optional).map((name) => [optional, name, true] as const),
  ]
  const specs = new Map<string, NamedSpec>()
  for (const [group, name, isOptional] of named) {
    if (!specs.has(name) && Object.hasOwn(group, name)) {
      specs.set(name, [name, group[name]!, isOptional])
    }
  }
  return [...specs.values()]
}

/** First the sockets, then the inputs behind widgets, then what only the file knows. */
function allInputs(
  node: WorkflowNode,
  sockets: readonly NodeInput[],
  widgets: readonly Widget[],
  slots: ReadonlyMap<string, WorkflowSlot>,
): NodeInput[] {
  const behindWidgets = widgets.map((widget) => ({
    ...inputOf(widget.name, typeOf(widget.spec), slots.get(widget.name)),
    widget,
  }))
  const defined = new Set([...sockets, ...widgets].map(({ name }) => name))
  const others = node.inputs.filter(({ name, isWidget }) => !isWidget && !defined.has(name))
  return [
    ...sockets,
    ...behindWidgets,
    ...others.map((slot) => inputOf(slot.name, slot.type, slot)),
  ]
}

function inputOf(name: string, type: string, slot: WorkflowSlot | undefined): NodeInput {
  return { name, type, ...(slot?.linkId !== undefined && { linkId: slot.linkId }) }
}

interface ValueReader {
  /** The next value, or the one of this name, and where it is kept; undefined where there is none. */
  take(name: string): { readonly given: JsonValue | undefined; readonly at?: number | string }
  /** Passes over places that are no inputs. @returns the first of them. */
  skip(count: number): number | undefined
}

/** For widgets that came after the file was read. */
const noValues: ValueReader = { take: () => ({ given: undefined }), skip: () => undefined }

/** @param left out of the list: places that belong to no widget. */
function valueReader(values: WorkflowNode['widgetValues'], left: ReadonlySet<number>): ValueReader {
  if (!Array.isArray(values)) {
    const named = values as JsonObject
    return {
      take: (name) => ({ given: Object.hasOwn(named, name) ? named[name] : undefined, at: name }),
      skip: () => undefined,
    }
  }
  let next = 0
  const advance = () => {
    while (left.has(next)) next++
    return next++
  }
  return {
    take() {
      const at = advance()
      return { given: values[at], at }
    },
    skip: (count) => Array.from({ length: count }, advance)[0],
  }
}

/**
 * Before 1.16 the frontend saved a value for inputs that only a link can fill. They are
 * known by the number of values alone. @returns the places of those values.
 */
function forcedInputs(
  values: WorkflowNode['widgetValues'],
  specs: readonly NamedSpec[],
): ReadonlySet<number> {
  if (!Array.isArray(values)) return new Set()
  const isForcedAt = specs.flatMap(([, spec, isOptional]) => {
    const isForced = !isWidget(spec, isOptional) && isWidget(spec, isOptional, { forced: true })
    if (!isForced && !isWidget(spec, isOptional)) return []
    return settingsOf(spec).control_after_generate ? [isForced, false] : [isForced]
  })
  if (isForcedAt.length !== values.length) return new Set()
  return new Set(isForcedAt.flatMap((isForced, at) => (isForced ? [at] : [])))
}

/** The inputs of the chosen option of a dynamic combo. */
function chosenInputs(spec: InputSpec, given: JsonValue | undefined): NamedSpec[] {
  if (typeOf(spec) !== 'COMFY_DYNAMICCOMBO_V3') return []
  const key = given ?? defaultOf(spec)
  const options = settingsOf(spec).options
  const option = (Array.isArray(options) ? options : []).map(objectOf).find((o) => o.key === key)
  const { required, optional } = objectOf(option?.inputs)
  const named = (group: JsonValue | undefined, isOptional: boolean) =>
    Object.entries(objectOf(group)).map(
      ([name, inner]) => [name, inner as unknown as InputSpec, isOptional] as const,
    )
  return [...named(required, false), ...named(optional, true)]
}

/** What each input of a growing group is. */
function templateOf(spec: InputSpec): InputSpec {
  const { required, optional } = objectOf(objectOf(settingsOf(spec).template).input)
  const [first] = Object.values({ ...objectOf(required), ...objectOf(optional) })
  return (first as unknown as InputSpec | undefined) ?? ['*']
}

/** Groups grow while they are wired; nobody draws more than this. */
const MOST_GROWN = 1000

interface GroupInputs {
  /** Those that are there from the start: one more than is asked for. */
  readonly first: readonly string[]
  /** Those that came with links: one more than is linked. */
  readonly grown: readonly string[]
}

/** `images.image0`, ... */
function groupInputs(
  name: string,
  spec: InputSpec,
  slots: ReadonlyMap<string, WorkflowSlot>,
): GroupInputs {
  const { names, prefix, min, max } = objectOf(settingsOf(spec).template)
  const listed = Array.isArray(names) ? names : undefined
  const most = Math.min(Number(listed?.length ?? max ?? MOST_GROWN) || 0, MOST_GROWN)
  const all = Array.from({ length: most }, (_, ordinal) => {
    return `${name}.${listed === undefined ? `${prefix ?? ''}${ordinal}` : String(listed[ordinal])}`
  })
  const lastLinked = all.findLastIndex((one) => slots.get(one)?.linkId !== undefined)
  const count = (Number(min) || 0) + 1
  return { first: all.slice(0, count), grown: all.slice(count, Math.max(count, lastLinked + 2)) }
}
