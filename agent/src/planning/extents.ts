/** How large the pictures of each node are, read from the prompt: nothing has run yet. */
import type { JsonValue } from '@comfymesh/protocol/json'
import { isLink, type NodeId, type NodeLink } from '@comfymesh/protocol/workflow'
import { type Graph, linksOf, usedInputs } from './graph.ts'
import { memoized } from './memoized.ts'

/** What a node's outputs measure. */
export interface Extent {
  readonly width: number
  readonly height: number
  readonly batch: number
  /** Of a latent. */
  readonly channels: number
  /** Pieces of 77 tokens into which its text is cut. */
  readonly chunks: number
}

/** Of a picture whose size no node says, as when it is loaded from a file. */
const USUAL: Extent = { width: 1024, height: 1024, batch: 1, channels: 4, chunks: 1 }

/** Families whose latents have 16 channels, by the class that makes an empty one. */
const WIDE_LATENT = /sd3|flux|hunyuan|wan|cosmos|mochi|qwen|chroma|lumina/i

/** ComfyUI's upscale models mostly enlarge by 4, and their names are not bound to say it. */
const USUAL_UPSCALE = 4

/** A chunk holds 75 tokens of text, and an English token is about 4 characters. */
const CHUNK_CHARACTERS = 300

/** ComfyUI's largest side, and more pictures or texts than anybody makes at once. */
const MAX_SIDE = 16384
const MAX_COUNT = 4096

/** Inputs whose values are pictures or made of them. */
const PICTURE_TYPES = ['LATENT', 'IMAGE', 'MASK']

/** @param order nodes, each after those it depends on. */
export function extentsOf(graph: Graph, order: readonly NodeId[]): Map<NodeId, Extent> {
  const extents = new Map<NodeId, Extent>()
  const family = memoized(familyOf)
  for (const id of order)
    extents.set(id, extentOf(graph, id, extents, family(graph.prompt[id]!.class_type)))
  return extents
}

function extentOf(
  graph: Graph,
  id: NodeId,
  known: ReadonlyMap<NodeId, Extent>,
  { isWide, isBatch, usualScale }: ReturnType<typeof familyOf>,
): Extent {
  const sources = linksOf(graph, id)
  let picture: Extent | undefined
  let chunks = 0
  for (const link of sources) {
    const type = declaredType(graph, link)
    const extent = known.get(link[0]) ?? USUAL
    if (PICTURE_TYPES.includes(type)) picture = larger(picture, extent)
    if (type === 'CONDITIONING') chunks += extent.chunks
  }
  const before = picture ?? USUAL
  const { inputs } = graph.prompt[id]!
  const number = (name: string) => constantNumber(graph, inputs[name])
  const scale = number('scale_by') ?? usualScale
  const width = number('width') || before.width * scale
  const height = number('height') || before.height * scale
  const made = (number('batch_size') ?? 1) * (number('length') ?? 1) * (number('amount') ?? 1)
  const joined = isBatch ? sources.length : 1
  return {
    width: Math.min(width, MAX_SIDE),
    height: Math.min(height, MAX_SIDE),
    batch: Math.min(before.batch * joined * Math.max(1, made), MAX_COUNT),
    channels: isWide ? 16 : before.channels,
    chunks: chunksOf(usedInputs(graph, id), chunks),
  }
}

function declaredType({ prompt, definitions }: Graph, [source, slot]: NodeLink): string {
  return String(definitions[prompt[source]!.class_type]!.output[slot])
}

const area = ({ width, height, batch }: Extent) => width * height * batch

function larger(best: Extent | undefined, one: Extent): Extent {
  return best === undefined || area(one) > area(best) ? one : best
}

/** What the name of a class says of its pictures. */
function familyOf(classType: string) {
  return {
    isWide: WIDE_LATENT.test(classType),
    isBatch: /^(Image|Latent)Batch/.test(classType),
    usualScale: /UpscaleWithModel/.test(classType) ? USUAL_UPSCALE : 1,
  }
}

/** Of its own texts, or as many as all the conditioning that it takes in. */
function chunksOf(inputs: readonly (readonly [string, JsonValue])[], inherited: number): number {
  let characters = 0
  for (const [, value] of inputs)
    if (typeof value === 'string') characters = Math.max(characters, value.length)
  return Math.min(MAX_COUNT, Math.max(1, Math.ceil(characters / CHUNK_CHARACTERS), inherited))
}

/** A number that stands in the prompt, or in the primitive node to which the input is linked. */
export function constantNumber(graph: Graph, value: JsonValue | undefined): number | undefined {
  const source = isLink(value) ? graph.prompt[value[0]]?.inputs.value : value
  return typeof source === 'number' || typeof source === 'bigint' ? Number(source) : undefined
}
