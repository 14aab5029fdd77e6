/** CLIP's text transformer as a graph. Tokenizing and weighting are text/'s. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { ClipConfig } from '../../../models/clip-config.ts'
import type { Checkpoint } from '../../../models/family.ts'
import type { Value } from '../onnx/graph-builder.ts'
import { add, gather, reshape } from '../onnx/operators.ts'
import { attention } from './attention.ts'
import { buildNetwork, layerNorm, linear, type Network, swish } from './layers.ts'
import type { BuildOptions, NetworkGraph } from './network-graph.ts'

export interface TextEncoderShape {
  /** Chunks of `checkpoint.textEncoder.positions` (77) tokens encoded at once. */
  readonly chunks: number
  /** -1 the last layer, -2 the one before it; beyond the layers counts as the last (ComfyUI). */
  readonly lastLayer: number
}

/**
 * CLIP's text transformer, from token embeddings on, so that textual-inversion vectors mix in;
 * rows of the token table come from `readRows(file, checkpoint.textEncoder.tokenTable, ids)`.
 * Inputs: `embeddings` [chunks, 77, width], `end_positions` int64 [chunks] (the first
 * end-of-text token of each chunk, or 76) and, where LoRAs are given, `lora_strengths` [loras].
 * Outputs: `hidden` [chunks, 77, width], the chosen layer after the final norm;
 * `pooled` [chunks, width], the last layer's at the end positions, projected where the file
 * has a projection.
 * @throws MeshError `unsupported_model` where the checkpoint holds no text encoder.
 */
export function buildTextEncoderGraph(
  checkpoint: Checkpoint,
  { chunks, lastLayer }: TextEncoderShape,
  options: BuildOptions,
): NetworkGraph {
  const { textEncoder: clip } = checkpoint
  if (!clip) {
    throw new MeshError(
      'unsupported_model',
      `${checkpoint.file.path} has no CLIP text encoder. Load a whole checkpoint.`,
    )
  }
  return buildNetwork('text encoder', checkpoint, options, (network) => {
    const { graph, weights } = network
    const shape = [chunks, clip.positions, clip.width]
    const embeddings = network.input('embeddings', shape)
    const ends = graph.input('end_positions', 'int64', [chunks])
    const positions = weights.tensor(`${clip.root}.embeddings.position_embedding.weight`)
    const rows = [chunks * clip.positions, clip.width]
    const states = layers(
      network,
      clip,
      reshape(graph, add(graph, embeddings, positions), rows),
      chunks,
    )

    const norm = (state: Value) => layerNorm(network, state, `${clip.root}.final_layer_norm`)
    const last = norm(states.at(-1)!)
    const chosen = lastLayer === -1 ? undefined : states.at(lastLayer)
    return {
      hidden: reshape(graph, chosen ? norm(chosen) : last, shape),
      pooled: pool(network, clip, last, ends),
    }
  })
}

/** OpenAI's CLIP was trained with x * sigmoid(1.702 x) for GELU. */
const GELU_BETA = 1.702

/** The states after each layer, [chunks * positions, width]. */
function layers(network: Network, clip: ClipConfig, x: Value, chunks: number): Value[] {
  const { graph } = network
  const options = { batch: chunks, heads: clip.heads, mask: causalMask(network, clip.positions) }
  const states: Value[] = []
  for (let index = 0; index < clip.layers; index++) {
    const name = `${clip.root}.encoder.layers.${index}`
    const before = states.at(-1) ?? x
    const source = layerNorm(network, before, `${name}.layer_norm1`)
    const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((part) =>
      linear(network, source, `${name}.self_attn.${part}`),
    ) as [Value, Value, Value]
    const mixed = attention(network, q, k, v, options)
    const attended = add(graph, before, linear(network, mixed, `${name}.self_attn.out_proj`))
    const inner = linear(
      network,
      layerNorm(network, attended, `${name}.layer_norm2`),
      `${name}.mlp.fc1`,
    )
    const outer = linear(network, swish(network, inner, GELU_BETA), `${name}.mlp.fc2`)
    states.push(add(graph, attended, outer))
  }
  return states
}

/** Keeps tokens from seeing later ones. -10000 leaves nothing of a score, in half precision too. */
function causalMask(network: Network, positions: number): Value {
  const rows = Array.from({ length: positions }, (_, row) =>
    Array.from({ length: positions }, (_, column) => (column > row ? -10000 : 0)),
  )
  return network.constant(rows.flat(), [positions, positions])
}

/** The row at its end position of every chunk; `last` is [chunks * positions, width]. */
function pool(network: Network, clip: ClipConfig, last: Value, ends: Value): Value {
  const { graph } = network
  const starts = Array.from({ length: ends.shape[0]! }, (_, chunk) => chunk * clip.positions)
  const pooled = gather(graph, last, add(graph, ends, graph.integers(starts)))
  return clip.projection
    ? linear(network, pooled, clip.projection.replace(/\.weight$/, ''))
    : pooled
}
