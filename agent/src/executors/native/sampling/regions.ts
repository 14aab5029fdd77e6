/**
 * Where, when and how strongly each conditioning entry counts, settled before
 * sampling begins: areas and masks become regions of the latent with weights,
 * parts of the schedule become ranges of sigma (ComfyUI's process_conds).
 */
import { MeshError } from '@comfymesh/protocol/errors'
import { map } from '../array/arithmetic.ts'
import { repeatTo, slice } from '../array/slicing.ts'
import { filled } from '../array/tensor.ts'
import { interpolate } from '../image/resample.ts'
import type { Conditioning, ConditioningEntry, Mask, Tensor } from '../values.ts'
import type { ModelSampling } from './model-sampling.ts'

/** A rectangle of latent cells. */
export interface Region {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
}

export interface PreparedEntry {
  /** [1, tokens, width] */
  readonly tokens: Tensor
  readonly region: Region
  /** One number for the whole region, or [batch or 1, height, width] of it. */
  readonly weight: number | Tensor
  /** Counts while sigma is from here ... */
  readonly startSigma: number
  /** ... down to here. */
  readonly endSigma: number
}

export interface PreparedGuidance {
  readonly positive: readonly PreparedEntry[]
  readonly negative: readonly PreparedEntry[]
}

/** Cells over which a plain area fades out towards edges inside the latent. */
const FADE_CELLS = 8

/** The least side of an area found around a mask, in cells. */
const LEAST_BOUNDS_CELLS = 8

/**
 * @param shape of the latent, [batch, channels, height, width].
 * @throws MeshError `node_failed` for an area outside the latent.
 */
export function prepareGuidance(
  conditioning: { readonly positive: Conditioning; readonly negative: Conditioning },
  shape: readonly number[],
  sampling: ModelSampling,
): PreparedGuidance {
  const [, , height, width] = shape as [number, number, number, number]
  const whole: Region = { top: 0, left: 0, height, width }
  const positive = conditioning.positive.map((entry) => fitMask(entry, whole))
  const negative = conditioning.negative.map((entry) => fitMask(entry, whole))
  // Entries that one side gains from the other are themselves looked at afterwards.
  for (const entry of positive) addCounterpart(negative, entry)
  for (const entry of negative) addCounterpart(positive, entry)
  const prepare = (entry: ConditioningEntry) => prepareEntry(entry, whole, sampling)
  return { positive: positive.map(prepare), negative: negative.map(prepare) }
}

/** Brings the mask to the latent's size and, where asked, the area to the mask's bounds. */
function fitMask(entry: ConditioningEntry, whole: Region): ConditioningEntry {
  if (entry.mask === undefined) return entry
  const [, height, width] = entry.mask.shape
  const fits = height === whole.height && width === whole.width
  const mask = fits ? entry.mask : interpolate(entry.mask, 1, whole, 'bilinear')
  return { ...entry, mask, ...(entry.setAreaToBounds && { area: boundsOf(mask) }) }
}

/** The smallest area around all that is not 0 in any of the masks. */
function boundsOf(mask: Mask): NonNullable<ConditioningEntry['area']> {
  const [, height, width] = mask.shape as [number, number, number]
  let [top, left, bottom, right] = [height, width, -1, -1]
  mask.data.forEach((value, i) => {
    if (value === 0) return
    const [x, y] = [i % width, Math.floor(i / width) % height]
    top = Math.min(top, y)
    bottom = Math.max(bottom, y)
    left = Math.min(left, x)
    right = Math.max(right, x)
  })
  if (bottom < 0) return [LEAST_BOUNDS_CELLS, LEAST_BOUNDS_CELLS, 0, 0]
  const least = (cells: number) => Math.max(LEAST_BOUNDS_CELLS, cells)
  return [least(bottom - top + 1), least(right - left + 1), top, left]
}

/**
 * Guidance compares both sides within one area, so an entry with an area needs
 * one of the same area on the other side: a copy that says what the smallest
 * entry around it says there.
 */
function addCounterpart(others: ConditioningEntry[], entry: ConditioningEntry): void {
  const { area } = entry
  if (area === undefined) return
  let smallest: ConditioningEntry | undefined
  for (const other of others) {
    if (other.area === undefined) smallest ??= other
    else if (contains(other.area, area) && isSmaller(other.area, smallest?.area)) smallest = other
  }
  if (smallest === undefined || smallest.area?.join() === area.join()) return
  others.push({ ...entry, tokens: smallest.tokens })
}

type Area = NonNullable<ConditioningEntry['area']>

function contains(outer: Area, inner: Area): boolean {
  const [outerHeight, outerWidth, outerTop, outerLeft] = outer
  const [height, width, top, left] = inner
  return (
    top >= outerTop &&
    left >= outerLeft &&
    top + height <= outerTop + outerHeight &&
    left + width <= outerLeft + outerWidth
  )
}

/** The whole latent, which has no area, is larger than every area. */
function isSmaller(area: Area, than: Area | undefined): boolean {
  return than === undefined || area[0] * area[1] < than[0] * than[1]
}

function prepareEntry(
  entry: ConditioningEntry,
  whole: Region,
  sampling: ModelSampling,
): PreparedEntry {
  const region = regionOf(entry.area, whole)
  const { startPercent, endPercent } = entry
  return {
    tokens: entry.tokens,
    region,
    weight: weightOf(entry, region, whole),
    startSigma:
      startPercent === undefined ? Number.POSITIVE_INFINITY : sampling.percentToSigma(startPercent),
    endSigma: endPercent === undefined ? 0 : sampling.percentToSigma(endPercent),
  }
}

function regionOf(area: Area | undefined, whole: Region): Region {
  if (area === undefined) return whole
  const [height, width, top, left] = area
  if (top >= whole.height || left >= whole.width) {
    const size = `${whole.width * 8}x${whole.height * 8}`
    const message = `A conditioning area begins at ${left * 8}, ${top * 8}, outside the ${size} picture. Move it inside.`
    throw new MeshError('node_failed', message, { details: { area } })
  }
  return {
    top,
    left,
    height: Math.min(height, whole.height - top),
    width: Math.min(width, whole.width - left),
  }
}

function weightOf(entry: ConditioningEntry, region: Region, whole: Region): number | Tensor {
  const strength = entry.strength ?? 1
  const { top, left, height, width } = region
  if (entry.mask !== undefined) {
    const factor = (entry.maskStrength ?? 1) * strength
    const rows = slice(entry.mask, 1, top, height)
    return map(slice(rows, 2, left, width), (value) => value * factor)
  }
  if (entry.area === undefined) return strength
  const down = fade(top, height, whole.height)
  const across = fade(left, width, whole.width)
  const weight = filled([1, height, width], strength)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x
      weight.data[i] = strength * (down[y] as number) * (across[x] as number)
    }
  }
  return weight
}

/** How an area's weight rises from its edges, unless an edge is the latent's own. */
function fade(start: number, extent: number, whole: number): Float32Array {
  const weights = new Float32Array(extent).fill(1)
  const cells = Math.min(FADE_CELLS, Math.floor(extent / 4))
  for (let i = 0; i < cells; i++) {
    const share = (i + 1) / cells
    const far = extent - 1 - i
    if (start !== 0) weights[i] = (weights[i] as number) * share
    if (start + extent < whole) weights[far] = (weights[far] as number) * share
  }
  return weights
}

/** A mask for the sampler: [batch, channels, height, width] of the latent's shape. */
export function latentMask(mask: Mask, shape: readonly number[]): Tensor {
  const [batch, channels, height, width] = shape as [number, number, number, number]
  const [count = 1, maskHeight, maskWidth] = mask.shape
  const fits = maskHeight === height && maskWidth === width
  const sized = fits ? mask : interpolate(mask, 1, { height, width }, 'bilinear')
  const plane = { data: sized.data, shape: [count, 1, height, width] }
  return repeatTo(repeatTo(plane, 1, channels), 0, batch)
}
