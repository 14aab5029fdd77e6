/**
 * The names and shapes of a Stable Diffusion 1.5 checkpoint, of the size that users have:
 * 859.5 million parameters in the UNet, 123.1 in the text encoder, 83.7 in the autoencoder.
 */
import { goldenCases } from '../goldens.ts'
import type { Shapes } from './model-files.ts'

const layoutGolden = goldenCases<{ name: string; shapes: Shapes }>('networks').find(
  ({ name }) => name === 'unet.sd1-layout',
)!

/** The UNet: the golden of its layout, ten times as wide. */
export const fullUnet: Shapes = Object.fromEntries(
  Object.entries(layoutGolden.shapes).map(([name, shape]) => [
    name,
    shape.map((size) => ([1, 3, 4, 768].includes(size) ? size : size * 10)),
  ]),
)

function layer(name: string, ...shape: number[]): Shapes {
  return { [`${name}.weight`]: shape, [`${name}.bias`]: [shape[0]!] }
}

export function fullClip(root: string): Shapes {
  const layers = Array.from({ length: 12 }, (_, index) => {
    const path = `${root}encoder.layers.${index}`
    return {
      ...layer(`${path}.layer_norm1`, 768),
      ...layer(`${path}.self_attn.q_proj`, 768, 768),
      ...layer(`${path}.self_attn.k_proj`, 768, 768),
      ...layer(`${path}.self_attn.v_proj`, 768, 768),
      ...layer(`${path}.self_attn.out_proj`, 768, 768),
      ...layer(`${path}.layer_norm2`, 768),
      ...layer(`${path}.mlp.fc1`, 3072, 768),
      ...layer(`${path}.mlp.fc2`, 768, 3072),
    }
  })
  return Object.assign(
    {
      [`${root}embeddings.position_ids`]: [1, 77],
      [`${root}embeddings.token_embedding.weight`]: [49408, 768],
      [`${root}embeddings.position_embedding.weight`]: [77, 768],
      ...layer(`${root}final_layer_norm`, 768),
    },
    ...layers,
  )
}

function vaeBlock(name: string, from: number, to: number): Shapes {
  return {
    ...layer(`${name}.norm1`, from),
    ...layer(`${name}.conv1`, to, from, 3, 3),
    ...layer(`${name}.norm2`, to),
    ...layer(`${name}.conv2`, to, to, 3, 3),
    ...(from === to ? {} : layer(`${name}.nin_shortcut`, to, from, 1, 1)),
  }
}

function vaeMiddle(name: string): Shapes {
  return {
    ...vaeBlock(`${name}.mid.block_1`, 512, 512),
    ...layer(`${name}.mid.attn_1.norm`, 512),
    ...layer(`${name}.mid.attn_1.q`, 512, 512, 1, 1),
    ...layer(`${name}.mid.attn_1.k`, 512, 512, 1, 1),
    ...layer(`${name}.mid.attn_1.v`, 512, 512, 1, 1),
    ...layer(`${name}.mid.attn_1.proj_out`, 512, 512, 1, 1),
    ...vaeBlock(`${name}.mid.block_2`, 512, 512),
  }
}

export function fullVae(root: string): Shapes {
  const [encoder, decoder] = [`${root}encoder`, `${root}decoder`]
  const shapes: { [name: string]: readonly number[] } = {
    ...layer(`${encoder}.conv_in`, 128, 3, 3, 3),
    ...vaeMiddle(encoder),
    ...layer(`${encoder}.norm_out`, 512),
    ...layer(`${encoder}.conv_out`, 8, 512, 3, 3),
    ...layer(`${root}quant_conv`, 8, 8, 1, 1),
    ...layer(`${root}post_quant_conv`, 4, 4, 1, 1),
    ...layer(`${decoder}.conv_in`, 512, 4, 3, 3),
    ...vaeMiddle(decoder),
    ...layer(`${decoder}.norm_out`, 128),
    ...layer(`${decoder}.conv_out`, 3, 128, 3, 3),
  }
  const widths = [128, 256, 512, 512]
  for (const [level, width] of widths.entries()) {
    const [finer, coarser] = [widths[level - 1] ?? 128, widths[level + 1] ?? 512]
    for (const index of [0, 1, 2]) {
      const down = `${encoder}.down.${level}.block.${index}`
      if (index < 2) Object.assign(shapes, vaeBlock(down, index === 0 ? finer : width, width))
      const up = `${decoder}.up.${level}.block.${index}`
      Object.assign(shapes, vaeBlock(up, index === 0 ? coarser : width, width))
    }
    if (level < 3) {
      Object.assign(shapes, layer(`${encoder}.down.${level}.downsample.conv`, width, width, 3, 3))
    }
    if (level > 0) {
      Object.assign(shapes, layer(`${decoder}.up.${level}.upsample.conv`, width, width, 3, 3))
    }
  }
  return shapes
}

/** A whole checkpoint in one file. */
export const fullCheckpoint: Shapes = {
  ...fullUnet,
  ...fullVae('first_stage_model.'),
  ...fullClip('cond_stage_model.transformer.text_model.'),
}
