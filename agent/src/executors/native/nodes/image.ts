/**
 * Nodes that make, size, cut and batch pictures. Files are image-files.ts's
 * business, colours and sharpness image-filters.ts's, layers image-layers.ts's.
 */

import { map } from '../array/arithmetic.ts'
import { concat, repeat, slice } from '../array/slicing.ts'
import { dimensionsOf, padChannel } from '../image/pixels.ts'
import { resizePicture, roundHalfEven } from '../image/resample.ts'
import { defineNode, type NodeRow } from '../node.ts'
import { batchRange } from './batch-range.ts'
import { MAX_SIDE_PX } from './limits.ts'
import { schemaKeys } from './schema-keys.ts'

const scaleMethods = ['nearest-exact', 'bilinear', 'area', 'bicubic', 'lanczos'] as const

const side = { default: 512, min: 1, max: MAX_SIDE_PX, step: 1 } as const

export const imageNodes: NodeRow[] = [
  defineNode({
    name: 'EmptyImage',
    displayName: 'Empty Image',
    category: 'image',
    inputs: () => ({
      required: {
        width: ['INT', side],
        height: ['INT', side],
        batch_size: ['INT', { default: 1, min: 1, max: 4096 }],
        color: ['INT', { default: 0, min: 0, max: 0xffffff, step: 1, display: 'color' }],
      },
    }),
    outputs: ['IMAGE'],
    run: ({ width, height, batch_size, color }) => {
      const channels = [16, 8, 0].map((shift) => ((color >> shift) & 255) / 255)
      const data = new Float32Array(batch_size * height * width * 3)
      for (let i = 0; i < data.length; i += 3) data.set(channels, i)
      return [{ data, shape: [batch_size, height, width, 3] }]
    },
  }),

  defineNode({
    name: 'ImageScale',
    displayName: 'Upscale Image',
    category: 'image/upscaling',
    inputs: () => ({
      required: {
        image: ['IMAGE'],
        upscale_method: [scaleMethods],
        width: ['INT', { ...side, min: 0 }],
        height: ['INT', { ...side, min: 0 }],
        crop: [['disabled', 'center']],
      },
    }),
    outputs: ['IMAGE'],
    extra: { essentials_category: 'Image Tools' },
    run: ({ image, upscale_method, width, height, crop }) => {
      if (width === 0 && height === 0) return [image]
      const old = dimensionsOf(image)
      // A side of 0 follows from the other and the picture's aspect.
      const size = {
        width: width || Math.max(1, roundHalfEven((old.width * height) / old.height)),
        height: height || Math.max(1, roundHalfEven((old.height * width) / old.width)),
      }
      return [resizePicture(image, size, upscale_method, crop)]
    },
  }),

  defineNode({
    name: 'ImageScaleBy',
    displayName: 'Upscale Image By',
    category: 'image/upscaling',
    inputs: () => ({
      required: {
        image: ['IMAGE'],
        upscale_method: [scaleMethods],
        scale_by: ['FLOAT', { default: 1, min: 0.01, max: 8, step: 0.01 }],
      },
    }),
    outputs: ['IMAGE'],
    extra: { essentials_category: 'Image Tools' },
    run: ({ image, upscale_method, scale_by }) => {
      const old = dimensionsOf(image)
      const size = {
        width: roundHalfEven(old.width * scale_by),
        height: roundHalfEven(old.height * scale_by),
      }
      return [resizePicture(image, size, upscale_method, 'disabled')]
    },
  }),

  defineNode({
    name: 'ImageCrop',
    displayName: 'Crop Image (DEPRECATED)',
    category: 'image/transform',
    pythonModule: 'comfy_extras.nodes_images',
    inputs: () => ({
      required: {
        image: ['IMAGE', {}],
        width: ['INT', side],
        height: ['INT', side],
        x: ['INT', { default: 0, min: 0, max: MAX_SIDE_PX, step: 1 }],
        y: ['INT', { default: 0, min: 0, max: MAX_SIDE_PX, step: 1 }],
      },
    }),
    outputs: ['IMAGE'],
    extra: schemaKeys({ deprecated: true, essentialsCategory: 'Image Tools' }),
    run: ({ image, width, height, x, y }) => {
      const old = dimensionsOf(image)
      const left = Math.min(x, old.width - 1)
      const top = Math.min(y, old.height - 1)
      const rows = slice(image, 1, top, Math.min(height, old.height - top))
      return [slice(rows, 2, left, Math.min(width, old.width - left))]
    },
  }),

  defineNode({
    name: 'ImageInvert',
    displayName: 'Invert Image Colors',
    category: 'image/color',
    inputs: () => ({ required: { image: ['IMAGE'] } }),
    outputs: ['IMAGE'],
    extra: { essentials_category: 'Image Tools' },
    run: ({ image }) => [map(image, (value) => 1 - value)],
  }),

  defineNode({
    name: 'ImageBatch',
    displayName: 'Batch Images (DEPRECATED)',
    category: 'image/batch',
    inputs: () => ({ required: { image1: ['IMAGE'], image2: ['IMAGE'] } }),
    outputs: ['IMAGE'],
    extra: { deprecated: true },
    run: ({ image1, image2 }) => {
      const channels = Math.max(image1.shape[3]!, image2.shape[3]!)
      const [first, second] = [image1, image2].map((image) => {
        return image.shape[3] === channels ? image : padChannel(image, channels)
      })
      const { width, height } = dimensionsOf(image1)
      return [concat([first!, resizePicture(second!, { width, height }, 'bilinear', 'center')], 0)]
    },
  }),

  defineNode({
    name: 'ImageFromBatch',
    displayName: 'Get Image from Batch',
    category: 'image/batch',
    pythonModule: 'comfy_extras.nodes_images',
    inputs: () => ({
      required: {
        image: ['IMAGE', {}],
        batch_index: ['INT', { default: 0, min: -MAX_SIDE_PX, max: MAX_SIDE_PX }],
        length: ['INT', { default: 1, min: 1, max: 4096 }],
      },
    }),
    outputs: ['IMAGE'],
    extra: schemaKeys(),
    run: ({ image, batch_index, length }) => {
      const range = batchRange(image.shape[0]!, batch_index, length)
      return [slice(image, 0, range.start, range.length)]
    },
  }),

  defineNode({
    name: 'RepeatImageBatch',
    displayName: 'Repeat Image Batch',
    category: 'image/batch',
    pythonModule: 'comfy_extras.nodes_images',
    inputs: () => ({
      required: {
        image: ['IMAGE', {}],
        amount: ['INT', { default: 1, min: 1, max: 4096 }],
      },
    }),
    outputs: ['IMAGE'],
    extra: schemaKeys(),
    run: ({ image, amount }) => [repeat(image, 0, amount)],
  }),
]
