/**
 * Nodes that make, size, turn and mix latents. Those that keep a latent's noise
 * mask and batch index keep them as they are, as ComfyUI does, even where the
 * samples change shape: the mask is fitted when it is used.
 */
import { weightedSum } from '../array/arithmetic.ts'
import { zeros } from '../array/tensor.ts'
import { resizeLatent, roundHalfEven } from '../image/resample.ts'
import { defineNode, type NodeRow } from '../node.ts'
import {
  alike,
  composeLatent,
  cropAxis,
  latentFromBatch,
  rearrange,
  repeatLatent,
  rotations,
  shapeOf,
} from './latent-arrangement.ts'
import { MAX_SIDE_PX } from './limits.ts'

/** Pixels per latent cell and side. */
const CELL_PX = 8

/** The smallest side, in pixels, that LatentUpscale makes. */
const MIN_SIDE_PX = 64

const scaleMethods = ['nearest-exact', 'bilinear', 'area', 'bicubic', 'bislerp'] as const

const position = { default: 0, min: 0, max: MAX_SIDE_PX, step: 8 } as const

function cells(pixels: number): number {
  return Math.floor(pixels / CELL_PX)
}

export const latentNodes: NodeRow[] = [
  defineNode({
    name: 'EmptyLatentImage',
    displayName: 'Empty Latent Image',
    category: 'model/latent',
    inputs: () => ({
      required: {
        width: ['INT', { default: 512, min: 16, max: MAX_SIDE_PX, step: 8 }],
        height: ['INT', { default: 512, min: 16, max: MAX_SIDE_PX, step: 8 }],
        batch_size: ['INT', { default: 1, min: 1, max: 4096 }],
      },
    }),
    outputs: ['LATENT'],
    run: ({ width, height, batch_size }) => [
      { samples: zeros([batch_size, 4, cells(height), cells(width)]) },
    ],
  }),

  defineNode({
    name: 'SetLatentNoiseMask',
    displayName: 'Set Latent Noise Mask',
    category: 'model/latent',
    inputs: () => ({ required: { samples: ['LATENT'], mask: ['MASK'] } }),
    outputs: ['LATENT'],
    run: ({ samples, mask }) => [{ ...samples, noiseMask: mask }],
  }),

  defineNode({
    name: 'LatentUpscale',
    displayName: 'Upscale Latent',
    category: 'model/latent',
    inputs: () => ({
      required: {
        samples: ['LATENT'],
        upscale_method: [scaleMethods],
        width: ['INT', { default: 512, min: 0, max: MAX_SIDE_PX, step: 8 }],
        height: ['INT', { default: 512, min: 0, max: MAX_SIDE_PX, step: 8 }],
        crop: [['disabled', 'center']],
      },
    }),
    outputs: ['LATENT'],
    run: ({ samples: latent, upscale_method, width, height, crop }) => {
      if (width === 0 && height === 0) return [latent]
      const [, , oldHeight, oldWidth] = shapeOf(latent.samples)
      const wanted = {
        width: width || roundHalfEven((oldWidth * Math.max(MIN_SIDE_PX, height)) / oldHeight),
        height: height || roundHalfEven((oldHeight * Math.max(MIN_SIDE_PX, width)) / oldWidth),
      }
      const size = {
        width: cells(Math.max(MIN_SIDE_PX, wanted.width)),
        height: cells(Math.max(MIN_SIDE_PX, wanted.height)),
      }
      return [{ ...latent, samples: resizeLatent(latent.samples, size, upscale_method, crop) }]
    },
  }),

  defineNode({
    name: 'LatentUpscaleBy',
    displayName: 'Upscale Latent By',
    category: 'model/latent',
    inputs: () => ({
      required: {
        samples: ['LATENT'],
        upscale_method: [scaleMethods],
        scale_by: ['FLOAT', { default: 1.5, min: 0.01, max: 8, step: 0.01 }],
      },
    }),
    outputs: ['LATENT'],
    run: ({ samples: latent, upscale_method, scale_by }) => {
      const [, , height, width] = shapeOf(latent.samples)
      const size = {
        width: roundHalfEven(width * scale_by),
        height: roundHalfEven(height * scale_by),
      }
      const samples = resizeLatent(latent.samples, size, upscale_method, 'disabled')
      return [{ ...latent, samples }]
    },
  }),

  defineNode({
    name: 'LatentComposite',
    displayName: 'Latent Composite',
    category: 'model/latent',
    inputs: () => ({
      required: {
        samples_to: ['LATENT'],
        samples_from: ['LATENT'],
        x: ['INT', position],
        y: ['INT', position],
        feather: ['INT', position],
      },
    }),
    outputs: ['LATENT'],
    run: ({ samples_to, samples_from, x, y, feather }) => {
      const place = { x: cells(x), y: cells(y), feather: cells(feather) }
      return [
        { ...samples_to, samples: composeLatent(samples_to.samples, samples_from.samples, place) },
      ]
    },
  }),

  defineNode({
    name: 'LatentBlend',
    displayName: 'Latent Blend',
    category: 'experimental',
    inputs: () => ({
      required: {
        samples1: ['LATENT'],
        samples2: ['LATENT'],
        blend_factor: ['FLOAT', { default: 0.5, min: 0, max: 1, step: 0.01 }],
      },
    }),
    outputs: ['LATENT'],
    run: ({ samples1, samples2, blend_factor }) => {
      const [first, second] = alike(samples1.samples, samples2.samples)
      const samples = weightedSum([blend_factor, first], [1 - blend_factor, second])
      return [{ ...samples1, samples }]
    },
  }),

  defineNode({
    name: 'LatentFromBatch',
    displayName: 'Get Latent From Batch',
    category: 'model/latent/batch',
    inputs: () => ({
      required: {
        samples: ['LATENT'],
        batch_index: ['INT', { default: 0, min: -MAX_SIDE_PX, max: MAX_SIDE_PX }],
        length: ['INT', { default: 1, min: 1, max: 64 }],
      },
    }),
    outputs: ['LATENT'],
    run: ({ samples, batch_index, length }) => [latentFromBatch(samples, batch_index, length)],
  }),

  defineNode({
    name: 'RepeatLatentBatch',
    displayName: 'Repeat Latent Batch',
    category: 'model/latent/batch',
    inputs: () => ({
      required: {
        samples: ['LATENT'],
        amount: ['INT', { default: 1, min: 1, max: 64 }],
      },
    }),
    outputs: ['LATENT'],
    run: ({ samples, amount }) => [repeatLatent(samples, amount)],
  }),

  defineNode({
    name: 'LatentFlip',
    displayName: 'Flip Latent',
    category: 'model/latent/transform',
    inputs: () => ({
      required: {
        samples: ['LATENT'],
        flip_method: [['x-axis: vertically', 'y-axis: horizontally']],
      },
    }),
    outputs: ['LATENT'],
    run: ({ samples: latent, flip_method }) => {
      const vertical = flip_method.startsWith('x')
      const samples = rearrange(latent.samples, (y, x, height, width) => {
        return vertical ? [height - 1 - y, x] : [y, width - 1 - x]
      })
      return [{ ...latent, samples }]
    },
  }),

  defineNode({
    name: 'LatentRotate',
    displayName: 'Rotate Latent',
    category: 'model/latent/transform',
    inputs: () => ({
      required: {
        samples: ['LATENT'],
        rotation: [['none', '90 degrees', '180 degrees', '270 degrees']],
      },
    }),
    outputs: ['LATENT'],
    run: ({ samples: latent, rotation }) => [
      { ...latent, samples: rotations[rotation](latent.samples) },
    ],
  }),

  defineNode({
    name: 'LatentCrop',
    displayName: 'Crop Latent',
    category: 'model/latent/transform',
    inputs: () => ({
      required: {
        samples: ['LATENT'],
        width: ['INT', { default: 512, min: 64, max: MAX_SIDE_PX, step: 8 }],
        height: ['INT', { default: 512, min: 64, max: MAX_SIDE_PX, step: 8 }],
        x: ['INT', position],
        y: ['INT', position],
      },
    }),
    outputs: ['LATENT'],
    run: ({ samples: latent, width, height, x, y }) => {
      const rows = cropAxis(latent.samples, 2, cells(y), cells(height))
      return [{ ...latent, samples: cropAxis(rows, 3, cells(x), cells(width)) }]
    },
  }),
]
