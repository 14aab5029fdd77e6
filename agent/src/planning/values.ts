/**
 * Which values can travel between machines, and how many bytes they have. Every other
 * value is a handle: it names something that lives on one machine.
 */
import type { NodeId, NodeLink } from '@comfymesh/protocol/workflow'
import type { Extent } from './extents.ts'
import { type Graph, linksOf } from './graph.ts'

const FLOAT_BYTES = 4
/** Pixels a latent cell stands for, in each direction. */
const CELL_PIXELS = 8
/** Tokens of a chunk, and the width of SDXL's two encoders together: between SD 1.5's and T5's. */
const CHUNK_VALUES = 77 * 2048
/** A minute of stereo at 44.1 kHz: prompts do not say how long a sound is. */
const USUAL_AUDIO_VALUES = 60 * 44_100 * 2
/** A number or a short text, with what describes it. */
const PLAIN_BYTES = 64

const pixels = ({ width, height, batch }: Extent) => width * height * batch

/** The types that travel, one row each, with the bytes of a value in its own dtype. */
const travelling: { readonly [type: string]: (extent: Extent) => number } = {
  IMAGE: (extent) => pixels(extent) * 3 * FLOAT_BYTES,
  MASK: (extent) => pixels(extent) * FLOAT_BYTES,
  LATENT: (extent) => (pixels(extent) / CELL_PIXELS ** 2) * extent.channels * FLOAT_BYTES,
  CONDITIONING: ({ chunks }) => chunks * CHUNK_VALUES * FLOAT_BYTES,
  AUDIO: () => USUAL_AUDIO_VALUES * FLOAT_BYTES,
  CLIP_VISION_OUTPUT: ({ batch }) => batch * 257 * 1664 * FLOAT_BYTES,
  SIGMAS: () => 1024 * FLOAT_BYTES,
  INT: () => PLAIN_BYTES,
  FLOAT: () => PLAIN_BYTES,
  STRING: () => PLAIN_BYTES,
  BOOLEAN: () => PLAIN_BYTES,
  COMBO: () => PLAIN_BYTES,
}

/** Types of ComfyUI whose makers are cheap to repeat, whatever they are made from. */
const handles = new Set([
  'MODEL',
  'CLIP',
  'VAE',
  'CONTROL_NET',
  'UPSCALE_MODEL',
  'CLIP_VISION',
  'STYLE_MODEL',
  'GLIGEN',
  'LORA_MODEL',
  'MODEL_PATCH',
  'AUDIO_ENCODER',
  'PHOTOMAKER',
  'GUIDER',
  'NOISE',
  'SAMPLER',
  'HOOKS',
])

/** Handles that conditioning keeps inside: what they went into travels no more than they do. */
const kept = new Set(['CONTROL_NET', 'GLIGEN', 'HOOKS'])

/** What is known of the values of a prompt. */
export interface Values {
  /** The outputs that a node's inputs are linked to, in the order of its inputs. */
  links(id: NodeId): readonly NodeLink[]
  /** The type of an output, seen through nodes that pass on whatever they get. */
  type(link: NodeLink): string
  travels(link: NodeLink): boolean
  /** Whether a type is one of ComfyUI's handles. */
  isHandle(type: string): boolean
  /** Whether each output of the node is a handle, and making it again costs next to nothing. */
  isLoader(id: NodeId): boolean
}

/** @param order nodes, each after those it depends on. */
export function valuesOf(graph: Graph, order: readonly NodeId[]): Values {
  const types = new Map<NodeId, readonly string[]>()
  const loaders = new Set<NodeId>()
  const keeping = new Set<NodeId>()
  const type = ([id, slot]: NodeLink) => types.get(id)?.[slot] ?? '*'
  for (const id of order) {
    const links = linksOf(graph, id)
    const outputs = definitionOf(graph, id).output as readonly unknown[]
    // A dropdown's choice may be an output; older nodes spell its type as the list of choices.
    const plain = outputs.map((output) => (typeof output === 'string' ? output : 'COMBO'))
    types.set(
      id,
      plain.map((output) => (output === '*' ? passedOn(links, type) : output)),
    )
    const isKeeping = links.some(
      (link) => kept.has(type(link)) || (type(link) === 'CONDITIONING' && keeping.has(link[0])),
    )
    if (isKeeping) keeping.add(id)
    if (!definitionOf(graph, id).output_node && makesHandles(types.get(id)!, links.map(type)))
      loaders.add(id)
  }
  const travels = (link: NodeLink) => {
    const name = type(link)
    return isTravelling(name) && !(name === 'CONDITIONING' && keeping.has(link[0]))
  }
  const links = (id: NodeId) => linksOf(graph, id)
  const isHandle = (name: string) => handles.has(name)
  return { links, type, travels, isHandle, isLoader: (id) => loaders.has(id) }
}

/** Whether nothing but handles comes out, and making them again costs next to nothing. */
function makesHandles(outputs: readonly string[], inputs: readonly string[]): boolean {
  if (outputs.length === 0) return false
  if (outputs.every((output) => handles.has(output))) return true
  // Of a type that we do not know, such as an IPADAPTER: a loader when it is made from no picture.
  return inputs.every(isHandleOrPlain) && !outputs.some(isTravelling)
}

/** Bytes of a value that travels. */
export function valueBytes(type: string, extent: Extent): number {
  return Math.ceil(travelling[type]!(extent))
}

function definitionOf({ prompt, definitions }: Graph, id: NodeId) {
  return definitions[prompt[id]!.class_type]!
}

function passedOn(links: readonly NodeLink[], type: (link: NodeLink) => string): string {
  const [first] = links
  return first === undefined ? '*' : type(first)
}

const PLAIN_TYPES = new Set(['INT', 'FLOAT', 'STRING', 'BOOLEAN', 'COMBO'])

function isHandleOrPlain(type: string): boolean {
  return PLAIN_TYPES.has(type) || !isTravelling(type)
}

const isTravelling = (type: string) => Object.hasOwn(travelling, type)
