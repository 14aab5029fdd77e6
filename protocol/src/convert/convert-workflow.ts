/**
 * A workflow, as drawn and saved in ComfyUI's frontend, becomes a prompt, as the frontend
 * would send it. Pure: the same in the agent, the command line and the page. What the
 * frontend does was measured; the measurements are the test vectors.
 */
import type { JsonValue } from '../json.ts'
import type { NodeDefinitions, NodeId, PromptNode } from '../workflow.ts'
import { isObject, readDocument } from './document.ts'
import type { NodeInstance } from './expand.ts'
import { allNodes, BYPASSED, type ExecutedNode, expandWorkflow, MUTED } from './expand.ts'
import type { Widget } from './node-layout.ts'
import { applyPrimitives } from './primitive.ts'
import { type HostValues, instancesHaveValues, readHostValues } from './promoted-widgets.ts'
import { resolveInput } from './resolve-link.ts'
import { replaceInText, resolveDynamicPrompt } from './text-replacement.ts'
import { unknownClassMessage } from './unknown-class.ts'
import { settingsOf, typeOf } from './widget-types.ts'

export interface ConversionOptions {
  /** Local time, for `%date:...%` in file names. */
  readonly now: Date
  /** Chooses among `{a|b}`: numbers from 0 up to 1; without it the texts stay as they are. */
  readonly random?: () => number
}

/** Something odd in a workflow that did not keep it from being converted. */
export interface ConversionWarning {
  readonly message: string
  /** The node in question, by its id in the prompt. */
  readonly nodeId?: NodeId
  /** The class of that node, where the warning is that nobody knows it. */
  readonly unknownClass?: string
}

/** A prompt whose nodes have no class where nobody knows it; validation says so then. */
export type ConvertedPrompt = {
  [nodeId: NodeId]: Omit<PromptNode, 'class_type'> & { class_type?: string }
}

export interface Conversion {
  readonly prompt: ConvertedPrompt
  readonly warnings: readonly ConversionWarning[]
  /** Which frontend wrote the file, where it says so; its age decides whose values count. */
  readonly frontendVersion?: string
}

/** Whether this is drawn, and not a prompt already. */
export function isWorkflow(value: JsonValue | undefined): boolean {
  return isObject(value) && Array.isArray(value.nodes)
}

/**
 * @param workflow of version 0.4 or 1, with or without subgraphs; 64-bit seeds stay intact.
 * @param definitions of the nodes, as GET /object_info answers them.
 * @throws MeshError `invalid_prompt` for what is no workflow, links that go in a circle
 *   without a node that computes, and subgraphs that contain themselves.
 */
export function convertWorkflow(
  workflow: JsonValue,
  definitions: NodeDefinitions,
  options: ConversionOptions,
): Conversion {
  const warnings = new Map<string, ConversionWarning>()
  const note = (warning: ConversionWarning) => {
    warnings.set(`${warning.nodeId} ${warning.message}`, warning)
  }
  const warn = (message: string, nodeId?: NodeId) =>
    note({ message, ...(nodeId !== undefined && { nodeId }) })
  const document = readDocument(workflow, warn)
  const root = expandWorkflow(document, definitions)
  const nodes = allNodes(root)
  const hostValues = instancesHaveValues(document) ? readHostValues(nodes) : new Map()
  const replaced = textReplacer(nodes, options.now)
  applyPrimitives(nodes, replaced)
  const prompt = new Map<NodeId, ConvertedPrompt[NodeId]>()
  for (const node of nodes) {
    if (node.kind !== 'executed' || isLeftOut(node)) continue
    if (node.className === undefined) note(unknownClass(node))
    const serialize = (widget: Widget) => serializeWidget(widget, node, options, replaced)
    prompt.set(node.id, promptNode(node, serialize, { hostValues, warn }))
  }
  dropLinksToOthers(prompt)
  const { frontendVersion } = document
  return {
    prompt: Object.fromEntries(prompt),
    warnings: [...warnings.values()],
    ...(frontendVersion !== undefined && { frontendVersion }),
  }
}

/**
 * Muted and bypassed nodes, and those inside of such an instance of the drawing. Instances
 * deeper inside do not hide their nodes: in the frontend, muting one mutes its nodes too.
 */
function isLeftOut({ node, within }: NodeInstance): boolean {
  let outermost = within.host
  while (outermost?.within.host !== undefined) outermost = outermost.within.host
  return isOff(node.mode) || (outermost !== undefined && isOff(outermost.node.mode))
}

const isOff = (mode: number): boolean => mode === MUTED || mode === BYPASSED

/** Values in the order of the widgets, then links; a linked widget keeps its place. */
function promptNode(
  node: ExecutedNode,
  serialize: (widget: Widget) => JsonValue | undefined,
  { hostValues, warn }: { hostValues: HostValues; warn: (message: string, id: NodeId) => void },
): ConvertedPrompt[NodeId] {
  const inputs = new Map<string, JsonValue>()
  for (const widget of node.layout.widgets) {
    const value = serialize(widget)
    if (value !== undefined) inputs.set(widget.name, value)
  }
  const context = {
    warn,
    hostValue: (host: NodeInstance, slot: number) => hostValues.get(host)?.get(slot),
  }
  for (const [slot, { name }] of node.layout.inputs.entries()) {
    const source = resolveInput(node, slot, context)
    if (source?.kind === 'output') inputs.set(name, [source.node.id, source.slot])
    if (source?.kind === 'value') inputs.set(name, unlikeLink(source.value))
  }
  return {
    inputs: Object.fromEntries(inputs),
    ...(node.className !== undefined && { class_type: node.className }),
    _meta: node.title === undefined ? {} : { title: node.title },
  }
}

/** File names of these may hold the time and values of other nodes. */
const SAVING_CLASSES: ReadonlySet<string> = new Set([
  'SaveImage',
  'SaveImageAdvanced',
  'SaveSVGNode',
  'SaveVideo',
  'SaveAnimatedWEBP',
  'SaveAnimatedPNG',
  'SaveWEBM',
  'SaveAudio',
  'SaveAudioMP3',
  'SaveAudioOpus',
  'SaveAudioAdvanced',
  'SaveGLB',
  'CLIPSave',
  'VAESave',
  'ModelSave',
  'LoraSave',
  'SaveLatent',
])

function serializeWidget(
  { name, spec, value }: Widget,
  { className }: ExecutedNode,
  { random }: ConversionOptions,
  replaced: (text: string) => string,
): JsonValue | undefined {
  if (typeof value !== 'string') {
    const isCurve = typeOf(spec) === 'CURVE' && Array.isArray(value)
    return isCurve ? { __type__: 'CURVE', __value__: value } : value && unlikeLink(value)
  }
  if (settingsOf(spec).dynamicPrompts === true)
    return random === undefined ? value : resolveDynamicPrompt(value, random)
  const isFileName = name === 'filename_prefix' && SAVING_CLASSES.has(className ?? '')
  return isFileName ? replaced(value) : value
}

/** A list would be taken for a link. */
const unlikeLink = (value: JsonValue): JsonValue =>
  Array.isArray(value) ? { __value__: value } : value

/** The name by which texts mean a node; a user can change it. */
const NAME_PROPERTY = 'Node name for S&R'

function textReplacer(nodes: readonly NodeInstance[], now: Date): (text: string) => string {
  // The first of a name counts, so they are put in from the last on.
  const called = new Map<JsonValue, NodeInstance>()
  const put = (name: JsonValue | undefined, node: NodeInstance) => name && called.set(name, node)
  for (const one of nodes.toReversed()) if (one.kind === 'executed') put(one.title, one)
  for (const one of nodes.toReversed()) put(nameInTexts(one), one)
  const widgetValue = (nodeName: string, widgetName: string) => {
    const widget = called.get(nodeName)?.layout.widgets.find(({ name }) => name === widgetName)
    return widget && String(widget.value ?? '')
  }
  return (text) => replaceInText(text, { now, widgetValue })
}

function nameInTexts(one: NodeInstance): JsonValue | undefined {
  const { type, properties } = one.node
  const isNamed = one.kind === 'executed' && !SAVING_CLASSES.has(type)
  return properties[NAME_PROPERTY] ?? (isNamed ? type : undefined)
}

/** A link to a node that does not run is none. */
function dropLinksToOthers(prompt: ReadonlyMap<NodeId, ConvertedPrompt[NodeId]>): void {
  for (const { inputs } of prompt.values()) {
    for (const [name, value] of Object.entries(inputs)) {
      if (Array.isArray(value) && !prompt.has(String(value[0]))) delete inputs[name]
    }
  }
}

function unknownClass({ id, node }: NodeInstance): ConversionWarning {
  return { nodeId: id, message: unknownClassMessage(node.type), unknownClass: node.type }
}
