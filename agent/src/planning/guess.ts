/**
 * How much a node computes and holds, guessed from its types and sizes. Good to a factor of
 * two or so, and needed only until something like it has been measured.
 */
import type { NodeId } from '@comfymesh/protocol/workflow'
import { constantNumber, type Extent } from './extents.ts'
import type { Graph } from './graph.ts'
import type { Values } from './values.ts'

export interface Guess {
  /** 10^9 operations of a network; 0 for a node without one. */
  readonly gigaOps: number
  /** What runs beside a network: on a CPU, alike on all machines. */
  readonly plainMs: number
  /** What is alive beside the weights while it runs, at the least that it can do with. */
  readonly activationBytes: number
  /** How many equal parts it has: steps of a sampler, 1 of anything else. */
  readonly steps: number
}

const CELL_PIXELS = 64

/** The UNet of SD 1.5: 680 * 10^9 operations a step for 64x64 cells. */
const SAMPLE_GIGA_OPS_PER_CELL = 0.17
/** Its largest activations, 320 channels in float32, 50 of them alive together (as measured). */
const SAMPLE_BYTES_PER_CELL = 320 * 4 * 50
/** SD's autoencoder: 2.5 * 10^12 operations to decode 512x512. */
const DECODE_GIGA_OPS_PER_PIXEL = 0.0095
const ENCODE_GIGA_OPS_PER_PIXEL = 0.0042
/** 128 channels in float32, 8 of them alive together (as measured). */
const AUTOENCODER_BYTES_PER_PIXEL = 128 * 4 * 8
/** What is larger is done in tiles of this size when memory is short. */
const TILE_PIXELS = 512 * 512
/** CLIP's text encoder for 77 tokens. */
const TEXT_GIGA_OPS_PER_CHUNK = 20
const TEXT_BYTES = 50e6
/** An upscaler of 17 million weights, each used twice a pixel. */
const OTHER_GIGA_OPS_PER_PIXEL = 0.033

const PLAIN_NODE_MS = 0.2
const PLAIN_MS_PER_PIXEL = 5e-6

/**
 * The weights of SD 1.5's networks in float16, for which the operations above stand. Of a network of
 * another size the operations grow as its weights do; an autoencoder's with their root, because its
 * dearest layers, those of most pixels, have few.
 */
const SAMPLE_WEIGHT_BYTES = 1.72e9
const AUTOENCODER_WEIGHT_BYTES = 0.17e9
const TEXT_WEIGHT_BYTES = 0.25e9

/** Handles that run no network where they are used. */
const IDLE = new Set(['NOISE', 'SAMPLER', 'HOOKS', 'CONTROL_NET', 'GLIGEN', 'STYLE_MODEL'])

/** @param weightBytes of the network that the node runs; undefined where nobody knows. */
export function guessOf(
  graph: Graph,
  id: NodeId,
  values: Values,
  extent: Extent,
  weightBytes?: number,
): Guess {
  const inputs = new Set(values.links(id).map((link) => values.type(link)))
  const makes = (type: string) => {
    const { output } = graph.definitions[graph.prompt[id]!.class_type]!
    return output.some((_, slot) => values.type([id, slot]) === type)
  }
  const pixels = extent.width * extent.height * extent.batch
  const plainMs = PLAIN_NODE_MS + pixels * PLAIN_MS_PER_PIXEL
  const size = (ofBytes: number) => (weightBytes ?? ofBytes) / ofBytes
  const pixelSize = Math.sqrt(size(AUTOENCODER_WEIGHT_BYTES))
  const network = { plainMs, steps: 1, activationBytes: autoencoderBytes(extent) }
  if ((inputs.has('MODEL') || inputs.has('GUIDER')) && makes('LATENT'))
    return { ...sampling(graph, id, extent, size(SAMPLE_WEIGHT_BYTES)), plainMs }
  if (inputs.has('VAE') && makes('IMAGE'))
    return { ...network, gigaOps: pixels * DECODE_GIGA_OPS_PER_PIXEL * pixelSize }
  if (inputs.has('VAE'))
    return { ...network, gigaOps: pixels * ENCODE_GIGA_OPS_PER_PIXEL * pixelSize }
  if (inputs.has('CLIP')) {
    const gigaOps = extent.chunks * TEXT_GIGA_OPS_PER_CHUNK * size(TEXT_WEIGHT_BYTES)
    return { gigaOps, plainMs: PLAIN_NODE_MS, steps: 1, activationBytes: TEXT_BYTES }
  }
  const runsAnother = [...inputs].some((type) => values.isHandle(type) && !IDLE.has(type))
  if (runsAnother) return { ...network, gigaOps: pixels * OTHER_GIGA_OPS_PER_PIXEL }
  return { gigaOps: 0, plainMs, steps: 1, activationBytes: 0 }
}

function autoencoderBytes({ width, height }: Extent): number {
  return Math.min(width * height, TILE_PIXELS) * AUTOENCODER_BYTES_PER_PIXEL
}

const USUAL_STEPS = 20

function sampling(graph: Graph, id: NodeId, { width, height, batch }: Extent, size: number) {
  const { inputs } = graph.prompt[id]!
  const number = (name: string) => constantNumber(graph, inputs[name])
  const all = number('steps') ?? USUAL_STEPS
  const first = Math.min(all, number('start_at_step') ?? 0)
  const last = Math.min(all, number('end_at_step') ?? all)
  const steps = Math.max(1, last - first)
  const cells = (width * height) / CELL_PIXELS
  // Without guidance only one of the two halves is computed.
  const halves = number('cfg') === 1 ? 1 : 2
  const gigaOps = steps * halves * batch * cells * SAMPLE_GIGA_OPS_PER_CELL * size
  // A batch that does not fit is cut into its entries.
  return { gigaOps, steps, activationBytes: cells * SAMPLE_BYTES_PER_CELL }
}
