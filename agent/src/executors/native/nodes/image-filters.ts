/** Nodes that change a picture's colours or sharpness. */
import { blendModes, blendPictures } from '../image/blend.ts'
import { blur, sharpen } from '../image/convolve.ts'
import { dithers, quantize } from '../image/quantize.ts'
import { defineNode, type NodeRow } from '../node.ts'
import { schemaKeys } from './schema-keys.ts'

const shared = {
  category: 'image/filters',
  pythonModule: 'comfy_extras.nodes_post_processing',
} as const

export const imageFilterNodes: NodeRow[] = [
  defineNode({
    ...shared,
    name: 'ImageBlend',
    displayName: 'Blend Images',
    inputs: () => ({
      required: {
        image1: ['IMAGE', {}],
        image2: ['IMAGE', {}],
        blend_factor: ['FLOAT', { default: 0.5, min: 0, max: 1, step: 0.01 }],
        blend_mode: ['COMBO', { multiselect: false, options: blendModes }],
      },
    }),
    outputs: ['IMAGE'],
    extra: schemaKeys({ essentialsCategory: 'Image Tools' }),
    run: ({ image1, image2, blend_factor, blend_mode }) => [
      blendPictures(image1, image2, blend_factor, blend_mode),
    ],
  }),

  defineNode({
    ...shared,
    name: 'ImageBlur',
    displayName: 'Blur Image',
    inputs: () => ({
      required: {
        image: ['IMAGE', {}],
        blur_radius: ['INT', { default: 1, min: 1, max: 31, step: 1 }],
        sigma: ['FLOAT', { default: 1, min: 0.1, max: 10, step: 0.1 }],
      },
    }),
    outputs: ['IMAGE'],
    extra: schemaKeys(),
    run: ({ image, blur_radius, sigma }) => [blur(image, blur_radius, sigma)],
  }),

  defineNode({
    ...shared,
    name: 'ImageSharpen',
    displayName: 'Sharpen Image',
    inputs: () => ({
      required: {
        image: ['IMAGE', {}],
        sharpen_radius: ['INT', { advanced: true, default: 1, min: 1, max: 31, step: 1 }],
        sigma: ['FLOAT', { advanced: true, default: 1, min: 0.1, max: 10, step: 0.01 }],
        alpha: ['FLOAT', { advanced: true, default: 1, min: 0, max: 5, step: 0.01 }],
      },
    }),
    outputs: ['IMAGE'],
    extra: schemaKeys(),
    run: ({ image, sharpen_radius, sigma, alpha }) => [
      sharpen(image, sharpen_radius, sigma, alpha),
    ],
  }),

  defineNode({
    ...shared,
    name: 'ImageQuantize',
    displayName: 'Quantize Image',
    inputs: () => ({
      required: {
        image: ['IMAGE', {}],
        colors: ['INT', { default: 256, min: 1, max: 256, step: 1 }],
        dither: ['COMBO', { multiselect: false, options: dithers }],
      },
    }),
    outputs: ['IMAGE'],
    extra: schemaKeys(),
    run: ({ image, colors, dither }) => [quantize(image, colors, dither)],
  }),
]
