/** Nodes that lay pictures over one another or make room around them. */
import { compositePicture, padForOutpaint } from '../image/composite.ts'
import { defineNode, type NodeRow } from '../node.ts'
import { MAX_SIDE_PX } from './limits.ts'
import { schemaKeys } from './schema-keys.ts'

const margin = { default: 0, min: 0, max: MAX_SIDE_PX, step: 8 } as const
const position = { default: 0, min: 0, max: MAX_SIDE_PX, step: 1 } as const

export const imageLayerNodes: NodeRow[] = [
  defineNode({
    name: 'ImagePadForOutpaint',
    displayName: 'Pad Image for Outpainting',
    category: 'image/transform',
    inputs: () => ({
      required: {
        image: ['IMAGE'],
        left: ['INT', margin],
        top: ['INT', margin],
        right: ['INT', margin],
        bottom: ['INT', margin],
        feathering: ['INT', { default: 40, min: 0, max: MAX_SIDE_PX, step: 1, advanced: true }],
      },
    }),
    outputs: ['IMAGE', 'MASK'],
    run: ({ image, feathering, ...padding }) => {
      const padded = padForOutpaint(image, padding, feathering)
      return [padded.image, padded.mask]
    },
  }),

  defineNode({
    name: 'ImageCompositeMasked',
    displayName: 'Image Composite Masked',
    category: 'image/compositing',
    pythonModule: 'comfy_extras.nodes_mask',
    inputs: () => ({
      required: {
        destination: ['IMAGE', {}],
        source: ['IMAGE', {}],
        x: ['INT', position],
        y: ['INT', position],
        resize_source: ['BOOLEAN', { default: false }],
      },
      optional: { mask: ['MASK', {}] },
    }),
    outputs: ['IMAGE'],
    extra: schemaKeys(),
    run: ({ destination, source, x, y, resize_source, mask }) => [
      compositePicture(destination, source, {
        x,
        y,
        resizeSource: resize_source,
        ...(mask && { mask }),
      }),
    ],
  }),
]
