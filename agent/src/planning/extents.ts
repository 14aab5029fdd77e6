/** How large the pictures of each node are, read from the prompt: nothing has run yet. */
import type { JsonValue } from '@comfymesh/protocol/json'
import { isLink, type NodeId } from '@comfymesh/protocol/workflow'
import { type Graph, usedInputs } from './graph.ts'

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

/** Inputs whose values are pictures or made of them. */
const PICTURE_TYPES = new Set(['LATENT', 'IMAGE', 'MASK'])

/** @param order nodes, each after those it depends on. */
export function extentsOf(graph: Graph, order: readonly NodeId[]): Map<NodeId, Extent> {
  const extents = new Map<NodeId, Extent>()
  for (const id of order) extents.set(id, extentOf(graph, id, extents))
  return extents
}

function extentOf(graph: Graph, id: NodeId, known: ReadonlyMap<NodeId, Extent>): Extent {
  const { class_type } = graph.prompt[id]!
  const inputs = usedInputs(graph, id)
  const sources = inputs.flatMap(([, value]) => (isLink(value) ? [value] : []))
  const before = largest(sources.filter((link) => isPicture(graph, link)).map(extentFrom(known)))
  const number = (name: string) => constantNumber(graph, inputs.find(([key]) => key === name)?.[1])
  const scale = scaleOf(class_type, number)
  const width = number('width') || before.width * scale
  const height = number('height') || before.height * scale
  const made = (number('batch_size') ?? 1) * (number('length') ?? 1) * (number('amount') ?? 1)
  const joined = /^(Image|Latent)Batch/.test(class_type) ? sources.length : 1
  return {
    width,
    height,
    batch: before.batch * joined * Math.max(1, made),
    channels: WIDE_LATENT.test(class_type) ? 16 : before.channels,
    chunks: chunksOf(inputs, sources.map(extentFrom(known))),
  }
}

const extentFrom = (known: ReadonlyMap<NodeId, Extent>) => (link: readonly [NodeId, number]) =>
  known.get(link[0]) ?? USUAL

function isPicture({ prompt, definitions }: Graph, [id, slot]: readonly [NodeId, number]): boolean {
  return PICTURE_TYPES.has(String(definitions[prompt[id]!.class_type]!.output[slot]))
}

function largest(extents: readonly Extent[]): Extent {
  const area = ({ width, height, batch }: Extent) => width * height * batch
  return (
    extents.reduce<Extent | undefined>(
      (best, one) => (best === undefined || area(one) > area(best) ? one : best),
      undefined,
    ) ?? USUAL
  )
}

function scaleOf(classType: string, number: (name: string) => number | undefined): number {
  if (/UpscaleWithModel/.test(classType)) return USUAL_UPSCALE
  return number('scale_by') ?? 1
}

/** Of its own texts, or of all the conditioning that it takes in. */
function chunksOf(
  inputs: readonly (readonly [string, JsonValue])[],
  sources: readonly Extent[],
): number {
  const texts = inputs.flatMap(([, value]) => (typeof value === 'string' ? [value] : []))
  const characters = Math.max(0, ...texts.map((text) => text.length))
  const inherited = sources.reduce((sum, { chunks }) => sum + chunks, 0)
  return Math.max(1, Math.ceil(characters / CHUNK_CHARACTERS), inherited)
}

/** A number that stands in the prompt, or in the primitive node to which the input is linked. */
export function constantNumber(graph: Graph, value: JsonValue | undefined): number | undefined {
  const source = isLink(value) ? graph.prompt[value[0]]?.inputs.value : value
  return typeof source === 'number' || typeof source === 'bigint' ? Number(source) : undefined
}
