/** Nodes between latents and pictures. The network itself is context.models' business. */
import { MeshError } from '@comfymesh/protocol/errors'
import { addInPlace, clampInPlace, scale } from '../array/arithmetic.ts'
import { concat, slice } from '../array/slicing.ts'
import { cropToUnits, prepareInpainting } from '../image/inpaint.ts'
import { decodeTiles, type Tiling, tilesOf } from '../image/tiles.ts'
import type { Autoencoder } from '../models.ts'
import { defineNode, type NodeContext, type NodeRow } from '../node.ts'
import type { Image, Tensor } from '../values.ts'

/** `step` for each entry of a batch on its own, which keeps the memory needed that of one. */
async function eachOfBatch(
  batch: Tensor,
  context: NodeContext,
  step: (entry: Tensor) => Promise<Tensor>,
): Promise<Tensor> {
  const results: Tensor[] = []
  for (let b = 0; b < batch.shape[0]!; b++) {
    await context.throwIfCancelled()
    results.push(await step(slice(batch, 0, b, 1)))
  }
  return concat(results, 0)
}

function encodePixels(
  autoencoder: Autoencoder,
  pixels: Image,
  context: NodeContext,
): Promise<Tensor> {
  const colours = slice(pixels, 3, 0, Math.min(pixels.shape[3]!, 3))
  const cropped = cropToUnits(colours, autoencoder.downscale)
  return eachOfBatch(cropped, context, (picture) => autoencoder.encode(picture))
}

/** ComfyUI decodes three times, with square, wide and tall tiles, and takes the mean. */
function tilingsOf(tile: number, overlap: number): Tiling[] {
  const half = Math.floor(tile / 2)
  return [
    { tileHeight: tile * 2, tileWidth: half, overlap },
    { tileHeight: half, tileWidth: tile * 2, overlap },
    { tileHeight: tile, tileWidth: tile, overlap },
  ]
}

async function decodeTiled(
  autoencoder: Autoencoder,
  samples: Tensor,
  tilings: readonly Tiling[],
  context: NodeContext,
): Promise<Image> {
  const [batch, , height, width] = samples.shape as [number, number, number, number]
  const tileCount = tilings.reduce((sum, tiling) => sum + tilesOf(height, width, tiling).length, 0)
  let done = 0
  const decode = async (tile: Tensor): Promise<Image> => {
    const picture = await autoencoder.decode(tile)
    await context.progress(++done, tileCount * batch)
    return picture
  }
  return eachOfBatch(samples, context, async (latent) => {
    const { downscale } = autoencoder
    const [first, ...others] = tilings
    const sum = await decodeTiles(latent, first!, downscale, decode)
    for (const tiling of others) {
      addInPlace(sum, await decodeTiles(latent, tiling, downscale, decode))
    }
    return scale(sum, 1 / tilings.length)
  })
}

/** ComfyUI's, for when a whole picture at once is too much. */
const RESCUE_TILE_CELLS = 64
const RESCUE_OVERLAP_CELLS = 16

/** Each picture at once; in tiles where the memory does not suffice for that. */
async function decodeWhole(
  autoencoder: Autoencoder,
  samples: Tensor,
  context: NodeContext,
): Promise<Image> {
  try {
    return await eachOfBatch(samples, context, (latent) => autoencoder.decode(latent))
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'out_of_memory') throw error
    const tilings = tilingsOf(RESCUE_TILE_CELLS, RESCUE_OVERLAP_CELLS)
    return decodeTiled(autoencoder, samples, tilings, context)
  }
}

export const autoencoderNodes: NodeRow[] = [
  defineNode({
    name: 'VAEDecode',
    displayName: 'VAE Decode',
    category: 'model/latent',
    description: 'Decodes latent images back into pixel space images.',
    inputs: () => ({ required: { samples: ['LATENT', {}], vae: ['VAE', {}] } }),
    outputs: ['IMAGE'],
    run: async ({ samples: latent, vae }, context) => {
      const autoencoder = await context.models.autoencoder(vae)
      const pixels = await decodeWhole(autoencoder, latent.samples, context)
      clampInPlace(pixels, 0, 1)
      return [pixels]
    },
  }),

  defineNode({
    name: 'VAEDecodeTiled',
    displayName: 'VAE Decode (Tiled)',
    category: 'model/latent',
    inputs: () => ({
      required: {
        samples: ['LATENT'],
        vae: ['VAE'],
        tile_size: ['INT', { default: 512, min: 64, max: 4096, step: 32, advanced: true }],
        overlap: ['INT', { default: 64, min: 0, max: 4096, step: 32, advanced: true }],
        temporal_size: ['INT', { default: 64, min: 8, max: 4096, step: 4, advanced: true }],
        temporal_overlap: ['INT', { default: 8, min: 4, max: 4096, step: 4, advanced: true }],
      },
    }),
    outputs: ['IMAGE'],
    // The temporal inputs are for video models, which have no place here yet.
    run: async ({ samples: latent, vae, tile_size, overlap }, context) => {
      const autoencoder = await context.models.autoencoder(vae)
      const usedOverlap = tile_size < overlap * 4 ? Math.floor(tile_size / 4) : overlap
      const cells = (pixels: number) => Math.floor(pixels / autoencoder.downscale)
      const tilings = tilingsOf(cells(tile_size), cells(usedOverlap))
      const pixels = await decodeTiled(autoencoder, latent.samples, tilings, context)
      clampInPlace(pixels, 0, 1)
      return [pixels]
    },
  }),

  defineNode({
    name: 'VAEEncode',
    displayName: 'VAE Encode',
    category: 'model/latent',
    inputs: () => ({ required: { pixels: ['IMAGE'], vae: ['VAE'] } }),
    outputs: ['LATENT'],
    run: async ({ pixels, vae }, context) => {
      const autoencoder = await context.models.autoencoder(vae)
      return [{ samples: await encodePixels(autoencoder, pixels, context) }]
    },
  }),

  defineNode({
    name: 'VAEEncodeForInpaint',
    displayName: 'VAE Encode (for Inpainting)',
    category: 'model/latent',
    inputs: () => ({
      required: {
        pixels: ['IMAGE'],
        vae: ['VAE'],
        mask: ['MASK'],
        grow_mask_by: ['INT', { default: 6, min: 0, max: 64, step: 1 }],
      },
    }),
    outputs: ['LATENT'],
    run: async ({ pixels, vae, mask, grow_mask_by }, context) => {
      const autoencoder = await context.models.autoencoder(vae)
      const prepared = prepareInpainting(pixels, mask, autoencoder.downscale, grow_mask_by)
      const samples = await encodePixels(autoencoder, prepared.pixels, context)
      return [{ samples, noiseMask: prepared.noiseMask }]
    },
  }),
]
