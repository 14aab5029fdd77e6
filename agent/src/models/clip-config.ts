/** The CLIP text transformer of a checkpoint, from its tensor names and shapes. */
import { malformedFile, type Safetensors } from './safetensors.ts'
import type { TensorTree } from './tensor-tree.ts'

export interface ClipConfig {
  /** Path of the text model in the file, e.g. `cond_stage_model.transformer.text_model`. */
  readonly root: string
  readonly width: number
  /** Width of the feed-forward layers inside. */
  readonly innerWidth: number
  readonly heads: number
  readonly layers: number
  /** Tokens a chunk: 77. */
  readonly positions: number
  readonly vocabulary: number
  /** Name of the token embeddings, [vocabulary, width]. */
  readonly tokenTable: string
  /** Name of the matrix that projects the pooled state, where the file has one. */
  readonly projection?: string
}

/** Heads are in no shape; those of every CLIP text model are this wide. */
const HEAD_WIDTH = 64

/** @throws MeshError `malformed_file` */
export function readClipConfig(file: Safetensors, tree: TensorTree, root: string): ClipConfig {
  const tokenTable = `${root}.embeddings.token_embedding.weight`
  const [vocabulary, width] = tree.shape(tokenTable, 2)
  const heads = Math.max(1, width! / HEAD_WIDTH)
  if (!Number.isInteger(heads)) {
    throw malformedFile(file.path, `its text width ${width} is no multiple of ${HEAD_WIDTH}`)
  }
  const projection = `${root.replace(/\.text_model$/, '')}.text_projection.weight`
  return {
    root,
    width: width!,
    innerWidth: tree.shape(`${root}.encoder.layers.0.mlp.fc1.weight`, 2)[0]!,
    heads,
    layers: tree.count(`${root}.encoder.layers`),
    positions: tree.shape(`${root}.embeddings.position_embedding.weight`, 2)[0]!,
    vocabulary: vocabulary!,
    tokenTable,
    ...(file.tensors.has(projection) && { projection }),
  }
}

/** Every tensor that the network needs, with the shape it must have. */
export function* clipTensors(clip: ClipConfig): Generator<[name: string, shape: number[]]> {
  const { root, width, innerWidth } = clip
  yield [clip.tokenTable, [clip.vocabulary, width]]
  yield [`${root}.embeddings.position_embedding.weight`, [clip.positions, width]]
  for (let index = 0; index < clip.layers; index++) {
    const layer = `${root}.encoder.layers.${index}`
    for (const name of ['q_proj', 'k_proj', 'v_proj', 'out_proj']) {
      yield [`${layer}.self_attn.${name}.weight`, [width, width]]
      yield [`${layer}.self_attn.${name}.bias`, [width]]
    }
    yield [`${layer}.mlp.fc1.weight`, [innerWidth, width]]
    yield [`${layer}.mlp.fc1.bias`, [innerWidth]]
    yield [`${layer}.mlp.fc2.weight`, [width, innerWidth]]
    yield [`${layer}.mlp.fc2.bias`, [width]]
    for (const name of ['layer_norm1', 'layer_norm2']) {
      yield [`${layer}.${name}.weight`, [width]]
      yield [`${layer}.${name}.bias`, [width]]
    }
  }
  yield [`${root}.final_layer_norm.weight`, [width]]
  yield [`${root}.final_layer_norm.bias`, [width]]
  if (clip.projection) yield [clip.projection, [width, width]]
}
