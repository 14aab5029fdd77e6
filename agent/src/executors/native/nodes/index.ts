/** The table of native nodes: adding one is adding a row to its category's file. */
import type { NodeRow } from '../node.ts'
import { autoencoderNodes } from './autoencoder.ts'
import { conditioningNodes } from './conditioning.ts'
import { imageNodes } from './image.ts'
import { imageFileNodes } from './image-files.ts'
import { imageFilterNodes } from './image-filters.ts'
import { imageLayerNodes } from './image-layers.ts'
import { latentNodes } from './latent.ts'
import { loaderNodes } from './loaders.ts'
import { maskNodes } from './mask.ts'
import { primitiveNodes } from './primitive.ts'
import { samplingNodes } from './sampling.ts'

export const nodeRows: ReadonlyMap<string, NodeRow> = new Map(
  [
    loaderNodes,
    conditioningNodes,
    latentNodes,
    samplingNodes,
    autoencoderNodes,
    imageFileNodes,
    imageNodes,
    imageFilterNodes,
    imageLayerNodes,
    maskNodes,
    primitiveNodes,
  ]
    .flat()
    .map((row) => [row.name, row]),
)
