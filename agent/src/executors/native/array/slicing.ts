/** Cutting, joining and repeating tensors along one axis. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Tensor } from '../values.ts'
import { sizeOf } from './tensor.ts'

/** Sizes before, along and after an axis: the tensor is [outer, extent, inner]. */
function around(shape: readonly number[], axis: number) {
  const extent = shape[axis]
  if (extent === undefined) throw new MeshError('internal', `No axis ${axis} in [${shape}]`)
  return { outer: sizeOf(shape.slice(0, axis)), extent, inner: sizeOf(shape.slice(axis + 1)) }
}

function withExtent(shape: readonly number[], axis: number, extent: number): number[] {
  return shape.map((old, i) => (i === axis ? extent : old))
}

/**
 * `length` entries of an axis from `start` on. The whole axis is returned as it
 * is, and a run along the first axis shares the source's memory.
 * @throws MeshError `internal` when the run leaves the axis.
 */
export function slice(source: Tensor, axis: number, start: number, length: number): Tensor {
  const { outer, extent, inner } = around(source.shape, axis)
  if (start < 0 || length < 0 || start + length > extent) {
    throw new MeshError('internal', `No ${length} entries from ${start} on in ${extent}`)
  }
  if (length === extent) return source
  const shape = withExtent(source.shape, axis, length)
  const run = length * inner
  if (outer === 1) {
    return { data: source.data.subarray(start * inner, start * inner + run), shape }
  }
  const data = new Float32Array(outer * run)
  for (let o = 0; o < outer; o++) {
    const from = (o * extent + start) * inner
    data.set(source.data.subarray(from, from + run), o * run)
  }
  return { data, shape }
}

/**
 * Tensors one after the other along an axis; their other extents must agree.
 * A single tensor is returned as it is.
 */
export function concat(sources: readonly Tensor[], axis: number): Tensor {
  const first = sources[0]
  if (first === undefined) throw new MeshError('internal', 'Nothing to join')
  if (sources.length === 1) return first
  const { outer, inner } = around(first.shape, axis)
  let extent = 0
  for (const { shape } of sources) {
    const own = around(shape, axis)
    if (own.outer !== outer || own.inner !== inner || shape.length !== first.shape.length) {
      throw new MeshError('internal', `[${shape}] does not join [${first.shape}] on axis ${axis}`)
    }
    extent += own.extent
  }
  const data = new Float32Array(outer * extent * inner)
  let at = 0
  for (const source of sources) {
    const run = (source.shape[axis] as number) * inner
    for (let o = 0; o < outer; o++) {
      data.set(source.data.subarray(o * run, (o + 1) * run), o * extent * inner + at)
    }
    at += run
  }
  return { data, shape: withExtent(first.shape, axis, extent) }
}

/** The tensor `times` times over along an axis. */
export function repeat(source: Tensor, axis: number, times: number): Tensor {
  return concat(new Array<Tensor>(times).fill(source), axis)
}

/** An axis cut or repeated from its start until it has `extent` entries. */
export function repeatTo(source: Tensor, axis: number, extent: number): Tensor {
  const own = around(source.shape, axis).extent
  if (own === extent) return source
  if (own > extent) return slice(source, axis, 0, extent)
  return slice(repeat(source, axis, Math.ceil(extent / own)), axis, 0, extent)
}

/** The entries of the first axis named by `indexes`, in that order. */
export function gather(source: Tensor, indexes: readonly number[]): Tensor {
  return concat(
    indexes.map((index) => slice(source, 0, index, 1)),
    0,
  )
}
