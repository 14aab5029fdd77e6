/**
 * Writes PNG files. sharp could, but to set one of its pipelines up takes longer than all of this: in
 * a job at 256x256 it took 4.7 ms and more where this takes 2.9.
 * Specification: https://www.w3.org/TR/png-3/
 */
import { constants, deflateSync } from 'node:zlib'
import { pngChunk, pngSignature } from '../../../base/png-chunk.ts'
import type { Dimensions } from './pixels.ts'

/** By the number of channels: grey, grey and alpha, RGB, RGB and alpha. */
const colourTypes = [undefined, 0, 4, 2, 6] as const

const PAETH = 4

/** By which zlib hands out what it has deflated. */
const CHUNK_BYTES = 256 * 1024

/**
 * A PNG file of 8 bits a channel.
 *
 * Paeth's filter on every row and zlib's run lengths: photos come to 98 to 105 % of what the best
 * filter for each row and ComfyUI's level 4 make of them, in two thirds of the time and less.
 * Illustrations come to up to a third more, those of few colours, which are small in any case.
 * @param pixels `channels` values after one another, row after row.
 * @throws RangeError for a number of channels that PNG does not know.
 */
export function encodePixels(
  pixels: Uint8Array,
  { height, width, channels }: Omit<Dimensions, 'batch'>,
): Buffer {
  const colourType = colourTypes[channels]
  if (colourType === undefined) throw new RangeError(`PNG has no pictures of ${channels} channels`)
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, colourType, 0, 0, 0], 8)
  const filtered = filterRows(pixels, width * channels, channels)
  const data = deflateSync(filtered, { strategy: constants.Z_RLE, chunkSize: CHUNK_BYTES })
  return Buffer.concat([
    pngSignature,
    pngChunk('IHDR', [header]),
    pngChunk('IDAT', [data]),
    pngChunk('IEND', []),
  ])
}

/** Each row as its filter's number and what Paeth's prediction leaves of it. */
function filterRows(pixels: Uint8Array, rowBytes: number, channels: number): Uint8Array {
  const rows = pixels.length / rowBytes
  const filtered = new Uint8Array(pixels.length + rows)
  for (let row = 0; row < rows; row++) {
    const start = row * rowBytes
    const to = start + row + 1
    filtered[to - 1] = PAETH
    for (let i = 0; i < rowBytes; i++) {
      const at = start + i
      const left = i < channels ? 0 : pixels[at - channels]!
      const above = row === 0 ? 0 : pixels[at - rowBytes]!
      const corner = i < channels || row === 0 ? 0 : pixels[at - rowBytes - channels]!
      filtered[to + i] = pixels[at]! - paeth(left, above, corner)
    }
  }
  return filtered
}

/** Of the three neighbours, the one nearest to left + above - corner. */
function paeth(left: number, above: number, corner: number): number {
  const fromLeft = Math.abs(above - corner)
  const fromAbove = Math.abs(left - corner)
  const fromCorner = Math.abs(left + above - 2 * corner)
  if (fromLeft <= fromAbove && fromLeft <= fromCorner) return left
  return fromAbove <= fromCorner ? above : corner
}
