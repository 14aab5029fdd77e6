/** A node as it is when it is added: with its sockets, and the values of its definition. */
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { NodeDefinition, NodeDefinitions } from '@comfymesh/protocol/workflow'
import { emptyWorkflow, type Point } from './document.ts'
import type { NewNode } from './edit-nodes.ts'
import { UNLINKED_OUTPUT } from './edit-primitives.ts'
import { type NodeView, nodeView } from './node-view.ts'

/** Heights as ComfyUI's frontend draws them, so that its users' layouts stay what they are. */
export const TITLE_HEIGHT = 30
export const SLOT_HEIGHT = 20
const WIDGET_HEIGHT = 24
const TEXT_HEIGHT = 88
const PADDING = 16

const WIDTH = 210
const WIDTH_WITH_WIDGETS = 270
const WIDTH_WITH_TEXT = 400

/** Nodes of the drawing alone: no server knows them. */
export const virtualNodes: { readonly [type: string]: NewNode } = {
  Reroute: {
    type: 'Reroute',
    size: [75, 26],
    flags: {},
    mode: 0,
    inputs: [{ name: '', type: '*', link: null }],
    outputs: [{ name: '', type: '*', links: null }],
    properties: { showOutputText: false, horizontal: false },
  },
  PrimitiveNode: {
    type: 'PrimitiveNode',
    size: [210, 58],
    flags: {},
    mode: 0,
    inputs: [],
    outputs: [{ ...UNLINKED_OUTPUT, links: null }],
    properties: { 'Run widget replace on values': false },
  },
  Note: note('Note'),
  MarkdownNote: note('MarkdownNote'),
}

function note(type: string): NewNode {
  return {
    type,
    size: [280, 140],
    flags: {},
    mode: 0,
    inputs: [],
    outputs: [],
    properties: { text: '' },
    widgets_values: [''],
    color: '#432',
    bgcolor: '#653',
  }
}

/** @returns undefined where nobody knows the type. */
export function newNode(
  type: string,
  { x, y }: Point,
  definitions: NodeDefinitions,
): NewNode | undefined {
  const pos = [Math.round(x), Math.round(y)]
  if (Object.hasOwn(virtualNodes, type)) return { ...virtualNodes[type]!, pos }
  if (!Object.hasOwn(definitions, type)) return undefined
  return { ...blankNode(type, definitions), pos }
}

const blanks = new WeakMap<NodeDefinition, NewNode>()

function blankNode(type: string, definitions: NodeDefinitions): NewNode {
  const definition = definitions[type]!
  const known = blanks.get(definition)
  if (known !== undefined) return known
  const view = nodeView({ id: 0, type }, emptyWorkflow(), definitions)
  const blank: NewNode = {
    type,
    size: sizeOf(view),
    flags: {},
    mode: 0,
    inputs: inputsOf(view),
    outputs: view.outputs.map(({ name, type }) => ({ name, type, links: null })),
    properties: { 'Node name for S&R': type },
    widgets_values: valuesOf(view),
  }
  blanks.set(definition, blank)
  return blank
}

function inputsOf({ inputs, widgets }: NodeView): JsonObject[] {
  const sockets = inputs.map(({ name, type }) => ({ name, type, link: null }))
  const behindWidgets = widgets.flatMap(({ name, input }) =>
    input === undefined ? [] : [{ name, type: input.type, widget: { name }, link: null }],
  )
  return [...sockets, ...behindWidgets]
}

function valuesOf({ widgets }: NodeView): JsonValue[] {
  const values: JsonValue[] = []
  for (const { at, value, afterRun, control } of widgets) {
    if (typeof at !== 'number') continue
    values[at] = value ?? null
    if (afterRun !== undefined) values[afterRun.at] = 'randomize'
    // A hidden widget of the frontend, which it looks for behind the file's name.
    if (control.kind === 'choice' && control.takesPictures) values[at + 1] ??= 'image'
  }
  return Array.from(values, (value) => value ?? null)
}

/** Without the title. */
function sizeOf({ inputs, outputs, widgets }: NodeView): JsonValue {
  const texts = widgets.filter(({ control }) => control.kind === 'text' && control.isMultiline)
  const controls = widgets.filter(({ afterRun }) => afterRun !== undefined)
  const rows = Math.max(inputs.length, outputs.length)
  const lines = widgets.length - texts.length + controls.length
  const height = PADDING + rows * SLOT_HEIGHT + lines * WIDGET_HEIGHT + texts.length * TEXT_HEIGHT
  const width = texts.length > 0 ? WIDTH_WITH_TEXT : lines > 0 ? WIDTH_WITH_WIDGETS : WIDTH
  return [width, height]
}
