/** Nodes that make and change conditioning: what guides the sampler, where and when. */
import { MeshError } from '@comfymesh/protocol/errors'
import { weightedSum } from '../array/arithmetic.ts'
import { concat, slice } from '../array/slicing.ts'
import { zeros } from '../array/tensor.ts'
import { defineNode, type NodeContext } from '../node.ts'
import { embeddingVersion } from '../text/embeddings.ts'
import { encodePrompt } from '../text/encode-prompt.ts'
import { embeddingNames } from '../text/prompt-syntax.ts'
import type { Conditioning, ConditioningEntry, Tensor } from '../values.ts'

const transform = { category: 'model/conditioning/transform', outputs: ['CONDITIONING'] }

/** ComfyUI's MAX_RESOLUTION, in pixels. */
const MAX_SIDE = 16384
const side = { default: 64, min: 64, max: MAX_SIDE, step: 8 } as const
const position = { default: 0, min: 0, max: MAX_SIDE, step: 8 } as const
const strengthInput = ['FLOAT', { default: 1, min: 0, max: 10, step: 0.01 }] as const

/** Areas are given in pixels and kept in cells of SD's latents. */
const toCells = (pixels: number) => Math.floor(pixels / 8)

export const conditioningNodes = [
  defineNode({
    name: 'CLIPTextEncode',
    displayName: 'CLIP Text Encode (Prompt)',
    category: 'model/conditioning',
    inputs: () => ({
      required: { text: ['STRING', { multiline: true, dynamicPrompts: true }], clip: ['CLIP', {}] },
    }),
    outputs: ['CONDITIONING'],
    run: async ({ text, clip }, { models, folders, warn }) => [
      [await encodePrompt(text, await models.textEncoder(clip), folders, warn)],
    ],
    fingerprint: async ({ text }, folders) =>
      typeof text === 'string'
        ? embeddingNames(text)
            .map((name) => embeddingVersion(name, folders))
            .join()
        : '',
  }),
  defineNode({
    name: 'CLIPSetLastLayer',
    displayName: 'CLIP Set Last Layer',
    category: 'model/conditioning',
    inputs: () => ({
      required: {
        clip: ['CLIP'],
        stop_at_clip_layer: ['INT', { default: -1, min: -24, max: -1, step: 1, advanced: true }],
      },
    }),
    outputs: ['CLIP'],
    run: ({ clip, stop_at_clip_layer }) => [{ ...clip, lastLayer: stop_at_clip_layer }],
  }),
  defineNode({
    ...transform,
    name: 'ConditioningCombine',
    displayName: 'Conditioning (Combine)',
    extra: { essentials_category: 'Image Generation' },
    inputs: () => ({
      required: { conditioning_1: ['CONDITIONING'], conditioning_2: ['CONDITIONING'] },
    }),
    run: ({ conditioning_1, conditioning_2 }) => [[...conditioning_1, ...conditioning_2]],
  }),
  defineNode({
    ...transform,
    name: 'ConditioningAverage',
    displayName: 'Conditioning (Average)',
    inputs: () => ({
      required: {
        conditioning_to: ['CONDITIONING'],
        conditioning_from: ['CONDITIONING'],
        conditioning_to_strength: ['FLOAT', { default: 1, min: 0, max: 1, step: 0.01 }],
      },
    }),
    run: ({ conditioning_to, conditioning_from, conditioning_to_strength }, { warn }) => {
      const from = onlyEntry(conditioning_from, 'ConditioningAverage', warn)
      return [conditioning_to.map((to) => average(to, from, conditioning_to_strength))]
    },
  }),
  defineNode({
    ...transform,
    name: 'ConditioningConcat',
    displayName: 'Conditioning (Concat)',
    inputs: () => ({
      required: { conditioning_to: ['CONDITIONING'], conditioning_from: ['CONDITIONING'] },
    }),
    run: ({ conditioning_to, conditioning_from }, { warn }) => {
      const from = onlyEntry(conditioning_from, 'ConditioningConcat', warn)
      return [
        conditioning_to.map((to) => {
          assertSameWidth(to, from)
          return { ...to, tokens: concat([to.tokens, from.tokens], 1) }
        }),
      ]
    },
  }),
  defineNode({
    ...transform,
    name: 'ConditioningSetArea',
    displayName: 'Conditioning (Set Area)',
    inputs: () => ({
      required: {
        conditioning: ['CONDITIONING'],
        width: ['INT', side],
        height: ['INT', side],
        x: ['INT', position],
        y: ['INT', position],
        strength: strengthInput,
      },
    }),
    run: ({ conditioning, width, height, x, y, strength }) => [
      withValues(conditioning, {
        area: [toCells(height), toCells(width), toCells(y), toCells(x)],
        strength,
        setAreaToBounds: false,
      }),
    ],
  }),
  defineNode({
    ...transform,
    name: 'ConditioningSetMask',
    displayName: 'Conditioning (Set Mask)',
    inputs: () => ({
      required: {
        conditioning: ['CONDITIONING'],
        mask: ['MASK'],
        strength: strengthInput,
        set_cond_area: [['default', 'mask bounds']],
      },
    }),
    run: ({ conditioning, mask, strength, set_cond_area }) => [
      withValues(conditioning, {
        mask,
        maskStrength: strength,
        setAreaToBounds: set_cond_area !== 'default',
      }),
    ],
  }),
  defineNode({
    ...transform,
    name: 'ConditioningZeroOut',
    displayName: 'Conditioning Zero Out',
    inputs: () => ({ required: { conditioning: ['CONDITIONING'] } }),
    run: ({ conditioning }) => [
      conditioning.map((entry) => ({
        ...entry,
        tokens: zeros(entry.tokens.shape),
        ...(entry.pooled && { pooled: zeros(entry.pooled.shape) }),
      })),
    ],
  }),
  defineNode({
    ...transform,
    name: 'ConditioningSetTimestepRange',
    displayName: 'ConditioningSetTimestepRange',
    inputs: () => ({
      required: {
        conditioning: ['CONDITIONING'],
        start: ['FLOAT', { default: 0, min: 0, max: 1, step: 0.001 }],
        end: ['FLOAT', { default: 1, min: 0, max: 1, step: 0.001 }],
      },
    }),
    run: ({ conditioning, start, end }) => [
      withValues(conditioning, { startPercent: start, endPercent: end }),
    ],
  }),
]

const withValues = (
  conditioning: Conditioning,
  values: Partial<ConditioningEntry>,
): ConditioningEntry[] => conditioning.map((entry) => ({ ...entry, ...values }))

/** The first entry; further ones are ignored with a warning, as in ComfyUI. */
function onlyEntry(
  conditioning: Conditioning,
  node: string,
  warn: NodeContext['warn'],
): ConditioningEntry {
  const [first, ...others] = conditioning
  if (first === undefined) {
    throw new MeshError('node_failed', `${node}: conditioning_from is empty. Connect a prompt.`)
  }
  if (others.length > 0) {
    warn(`conditioning_from has more than one entry; only the first is used.`)
  }
  return first
}

/** Mixes two entries, `strength` of the first. The result has the first one's length and settings. */
function average(
  to: ConditioningEntry,
  from: ConditioningEntry,
  strength: number,
): ConditioningEntry {
  assertSameWidth(to, from)
  const mix = (a: Tensor, b: Tensor) => weightedSum([strength, a], [1 - strength, b])
  const tokens = mix(to.tokens, resizeTokens(from.tokens, to.tokens.shape[1]!))
  if (from.pooled === undefined) return { ...to, tokens }
  return { ...to, tokens, pooled: mix(to.pooled ?? from.pooled, from.pooled) }
}

/** Tokens [1, n, width] cut or filled up with zeros to `length`. */
function resizeTokens(tokens: Tensor, length: number): Tensor {
  const [, count = 0, width = 0] = tokens.shape
  if (count >= length) return slice(tokens, 1, 0, length)
  return concat([tokens, zeros([1, length - count, width])], 1)
}

function assertSameWidth(to: ConditioningEntry, from: ConditioningEntry): void {
  const [toWidth, fromWidth] = [to.tokens.shape[2], from.tokens.shape[2]]
  if (toWidth === fromWidth) return
  throw new MeshError(
    'node_failed',
    `The two conditionings come from different kinds of text encoders (widths ${toWidth} and ` +
      `${fromWidth}) and do not mix. Encode both prompts with one checkpoint's CLIP.`,
  )
}
