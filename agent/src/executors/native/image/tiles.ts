/**
 * Decoding in overlapping tiles whose seams are blended away, as ComfyUI's
 * tiled_scale: every tile fades in over the overlap, and what lands on a pixel
 * is divided by the sum of the fades.
 */

import { slice } from '../array/slicing.ts'
import type { Image, Tensor } from '../values.ts'
import { batchEntry, dimensionsOf } from './pixels.ts'

/** Cells. */
export interface Tiling {
  readonly tileHeight: number
  readonly tileWidth: number
  readonly overlap: number
}

interface Tile {
  readonly y: number
  readonly x: number
  readonly height: number
  readonly width: number
}

/** The tiles of one picture; a single one where all of it fits. */
export function tilesOf(height: number, width: number, tiling: Tiling): Tile[] {
  const { tileHeight, tileWidth, overlap } = tiling
  return startsOf(height, tileHeight, overlap).flatMap((y) =>
    startsOf(width, tileWidth, overlap).map((x) => ({
      y,
      x,
      height: Math.min(tileHeight, height - y),
      width: Math.min(tileWidth, width - x),
    })),
  )
}

function startsOf(extent: number, tile: number, overlap: number): number[] {
  if (extent <= tile) return [0]
  const count = Math.ceil((extent - overlap) / (tile - overlap))
  return Array.from({ length: count }, (_, i) => i * (tile - overlap))
}

/**
 * @param samples [1, channels, height, width]
 * @param decode turns the cells of a tile into `upscale` times as many pixels a side.
 * @returns [1, height * upscale, width * upscale, 3]
 */
export async function decodeTiles(
  samples: Tensor,
  tiling: Tiling,
  upscale: number,
  decode: (tile: Tensor) => Promise<Image>,
): Promise<Image> {
  const [, , height, width] = samples.shape as [number, number, number, number]
  const tiles = tilesOf(height, width, tiling)
  if (tiles.length === 1) return decode(samples)
  const canvas = newCanvas(height * upscale, width * upscale)
  for (const tile of tiles) {
    const rows = slice(samples, 2, tile.y, tile.height)
    const picture = await decode(slice(rows, 3, tile.x, tile.width))
    const corner = { y: tile.y * upscale, x: tile.x * upscale }
    addFaded(canvas, picture, corner, tiling.overlap * upscale)
  }
  return developed(canvas)
}

interface Canvas {
  readonly height: number
  readonly width: number
  /** [height, width, 3] */
  readonly sums: Float32Array
  /** [height, width] */
  readonly fades: Float32Array
}

function newCanvas(height: number, width: number): Canvas {
  return {
    height,
    width,
    sums: new Float32Array(height * width * 3),
    fades: new Float32Array(height * width),
  }
}

function addFaded(
  canvas: Canvas,
  picture: Image,
  corner: { y: number; x: number },
  featherPx: number,
): void {
  const { height, width } = dimensionsOf(picture)
  const { data } = batchEntry(picture, 0)
  const fadeY = fadesOf(height, featherPx)
  const fadeX = fadesOf(width, featherPx)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const fade = fadeY[y]! * fadeX[x]!
      const to = (y + corner.y) * canvas.width + x + corner.x
      const from = y * width + x
      canvas.fades[to]! += fade
      for (let c = 0; c < 3; c++) canvas.sums[to * 3 + c]! += data[from * 3 + c]! * fade
    }
  }
}

/** Rises at both ends; a tile narrower than the feather does not fade. */
function fadesOf(extent: number, featherPx: number): Float64Array {
  const fades = new Float64Array(extent).fill(1)
  if (featherPx >= extent) return fades
  for (let t = 0; t < featherPx; t++) {
    fades[t]! *= (t + 1) / featherPx
    fades[extent - 1 - t]! *= (t + 1) / featherPx
  }
  return fades
}

function developed({ height, width, sums, fades }: Canvas): Image {
  for (let i = 0; i < sums.length; i++) sums[i]! /= fades[Math.floor(i / 3)]!
  return { data: sums, shape: [1, height, width, 3] }
}
