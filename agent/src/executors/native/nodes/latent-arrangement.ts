/** How the latent nodes cut, turn, repeat and lay their samples over one another. */
import { MeshError } from '@comfymesh/protocol/errors'
import { repeat, repeatTo, slice } from '../array/slicing.ts'
import { copyOf, sameShape } from '../array/tensor.ts'
import { resizeLatent } from '../image/resample.ts'
import type { Latent, Tensor } from '../values.ts'
import { batchRange } from './batch-range.ts'

/** [batch, channels, height, width] */
type LatentShape = readonly [number, number, number, number]

export function shapeOf(samples: Tensor): LatentShape {
  return samples.shape as LatentShape
}

/** A run of a batch with its noise mask and the indices of its noise. */
export function latentFromBatch(latent: Latent, index: number, length: number): Latent {
  const { samples, noiseMask, batchIndex } = latent
  const batch = samples.shape[0]!
  const range = batchRange(batch, index, length)
  const end = range.start + range.length
  const own = Array.from({ length: batch }, (_, i) => i)
  return {
    ...latent,
    samples: slice(samples, 0, range.start, range.length),
    ...(noiseMask && { noiseMask: maskRun(noiseMask, batch, range) }),
    batchIndex: (batchIndex ?? own).slice(range.start, end),
  }
}

/** A mask of one entry serves every picture; others are cut like their batch. */
function maskRun(mask: Tensor, batch: number, range: { start: number; length: number }): Tensor {
  if (mask.shape[0] === 1) return mask
  const full = mask.shape[0]! < batch ? repeatTo(mask, 0, batch) : mask
  return slice(full, 0, range.start, range.length)
}

/** The batch several times over, each time with indices of its own where there are any. */
export function repeatLatent(latent: Latent, amount: number): Latent {
  const { samples, noiseMask, batchIndex } = latent
  const indices = batchIndex ?? []
  const span = Math.max(...indices) - Math.min(...indices) + 1
  const repeated = Array.from({ length: amount }, (_, i) => {
    return indices.map((index) => index + i * span)
  }).flat()
  return {
    ...latent,
    samples: repeat(samples, 0, amount),
    ...(noiseMask && noiseMask.shape[0]! > 1 && { noiseMask: repeat(noiseMask, 0, amount) }),
    ...(batchIndex && { batchIndex: repeated }),
  }
}

/** For each cell of the result, where in the old latent it lay. */
type Origin = (y: number, x: number, height: number, width: number) => readonly [number, number]

/** The cells in another order; `turned` where height and width change places. */
export function rearrange(samples: Tensor, origin: Origin, turned = false): Tensor {
  const [batch, channels, height, width] = shapeOf(samples)
  const shape = [batch, channels, turned ? width : height, turned ? height : width] as const
  const data = new Float32Array(samples.data.length)
  const plane = height * width
  let to = 0
  for (let start = 0; start < data.length; start += plane) {
    for (let y = 0; y < shape[2]; y++) {
      for (let x = 0; x < shape[3]; x++) {
        const [fromY, fromX] = origin(y, x, height, width)
        data[to++] = samples.data[start + fromY * width + fromX]!
      }
    }
  }
  return { data, shape }
}

/** Clockwise turns, by the words of LatentRotate. */
export const rotations = {
  none: (samples: Tensor) => samples,
  '90 degrees': (samples: Tensor) =>
    rearrange(samples, (y, x, height) => [height - 1 - x, y], true),
  '180 degrees': (samples: Tensor) =>
    rearrange(samples, (y, x, height, width) => [height - 1 - y, width - 1 - x]),
  '270 degrees': (samples: Tensor) =>
    rearrange(samples, (y, x, _height, width) => [x, width - 1 - y], true),
} as const

/** Cells that LatentCrop leaves at least, however far out it is asked to start. */
const MIN_CELLS = 8

/** @throws MeshError `node_failed` where the latent is too small to be cropped. */
export function cropAxis(samples: Tensor, axis: number, start: number, length: number): Tensor {
  const extent = samples.shape[axis]!
  if (extent < MIN_CELLS) {
    throw new MeshError('node_failed', 'Only latents of at least 64x64 pixels can be cropped')
  }
  const from = Math.min(start, extent - MIN_CELLS)
  return slice(samples, axis, from, Math.min(length, extent - from))
}

/** Two latents with the second in the first's size, and both as long as the longer batch. */
export function alike(first: Tensor, second: Tensor): [Tensor, Tensor] {
  if (sameShape(first, second)) return [first, second]
  const [batch, , height, width] = shapeOf(first)
  const fitted = resizeLatent(second, { width, height }, 'bicubic', 'center')
  const other = fitted.shape[0]!
  if (batch !== other && batch !== 1 && other !== 1) {
    throw new MeshError('node_failed', `Batches of ${batch} and ${other} latents cannot be blended`)
  }
  const longer = Math.max(batch, other)
  return [repeatTo(first, 0, longer), repeatTo(fitted, 0, longer)]
}

/** Cells. */
interface Place {
  readonly x: number
  readonly y: number
  /** Width of the band along inner edges in which the two are mixed. */
  readonly feather: number
}

/**
 * `from` laid on `to`, what lies outside cut off.
 * @throws MeshError `node_failed` where it is neither one latent nor as many as `to`.
 */
export function composeLatent(to: Tensor, from: Tensor, place: Place): Tensor {
  const [batch, channels, height, width] = shapeOf(to)
  const [others] = shapeOf(from)
  if (others !== 1 && others !== batch) {
    throw new MeshError('node_failed', `${others} latents cannot be laid on ${batch}`)
  }
  const rows = Math.min(from.shape[2]!, height - place.y)
  const columns = Math.min(from.shape[3]!, width - place.x)
  if (rows <= 0 || columns <= 0) return to
  const visible = slice(slice(from, 2, 0, rows), 3, 0, columns)
  const source = repeatTo(visible, 0, batch).data
  const shareY = edgeShares(rows, place.feather, place.y !== 0, place.y + rows < height)
  const shareX = edgeShares(columns, place.feather, place.x !== 0, place.x + columns < width)
  const result = copyOf(to)
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const at = (plane * height + y + place.y) * width + x + place.x
        const share = shareY[y]! * shareX[x]!
        const value = source[(plane * rows + y) * columns + x]!
        result.data[at] = value * share + result.data[at]! * (1 - share)
      }
    }
  }
  return result
}

/** How much each cell of an axis shows: rising from an edge that lies inside the other latent. */
function edgeShares(
  cells: number,
  feather: number,
  atStart: boolean,
  atEnd: boolean,
): Float64Array {
  const shares = new Float64Array(cells).fill(1)
  for (let t = 0; t < Math.min(feather, cells); t++) {
    const share = (t + 1) / feather
    if (atStart) shares[t]! *= share
    if (atEnd) shares[cells - 1 - t]! *= share
  }
  return shares
}
