/** Nodes between masks and pictures. LoadImageMask stands with the files, in image-files.ts. */
import { MeshError } from '@comfymesh/protocol/errors'
import { repeat, slice } from '../array/slicing.ts'
import { reshape } from '../array/tensor.ts'
import { defineNode, type NodeRow } from '../node.ts'
import { schemaKeys } from './schema-keys.ts'

const channels: ('red' | 'green' | 'blue' | 'alpha')[] = ['red', 'green', 'blue', 'alpha']

const shared = { category: 'image/mask', pythonModule: 'comfy_extras.nodes_mask' } as const

export const maskNodes: NodeRow[] = [
  defineNode({
    ...shared,
    name: 'MaskToImage',
    displayName: 'Convert Mask to Image',
    inputs: () => ({ required: { mask: ['MASK', {}] } }),
    outputs: ['IMAGE'],
    extra: schemaKeys(),
    run: ({ mask }) => [repeat(reshape(mask, [...mask.shape, 1]), 3, 3)],
  }),

  defineNode({
    ...shared,
    name: 'ImageToMask',
    displayName: 'Convert Image to Mask',
    inputs: () => ({
      required: {
        image: ['IMAGE', {}],
        channel: ['COMBO', { multiselect: false, options: channels }],
      },
    }),
    outputs: ['MASK'],
    extra: schemaKeys(),
    run: ({ image, channel }) => {
      const index = channels.indexOf(channel)
      if (index >= image.shape[3]!) {
        throw new MeshError(
          'node_failed',
          `The picture has no ${channel} channel; LoadImage hands transparency out as its mask`,
        )
      }
      return [reshape(slice(image, 3, index, 1), image.shape.slice(0, 3))]
    },
  }),
]
