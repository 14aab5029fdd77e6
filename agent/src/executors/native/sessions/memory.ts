/**
 * What a network needs while it runs, from its shape alone: enough to decide what fits
 * together. Measured on onnxruntime 1.30's CPU provider with SD 1.5; what a session
 * really holds is measured afterwards where the platform can say.
 */
import { readFileSync } from 'node:fs'
import type { ClipConfig } from '../../../models/clip-config.ts'
import type { Safetensors } from '../../../models/safetensors.ts'
import type { UnetConfig } from '../../../models/unet-config.ts'
import type { VaeConfig } from '../../../models/vae-config.ts'

const FLOAT_BYTES = 4

/**
 * Weights that are not float32 are cast at each use, and this part of the casts is alive
 * at once. Measured: 0.4 to 0.8 GB of 3.4 GB for the UNet.
 */
const CAST_SHARE = 0.2

/** Whole activations at full size that are alive together. Measured: 0.5 GB a 64x64 latent. */
const UNET_TENSORS = 100

/** Measured: 1.05 GB for the decoder at 512x512, with 128 channels at full size. */
const VAE_TENSORS = 8

const CLIP_TENSORS = 20

export interface UnetSize {
  readonly batch: number
  /** Latent cells. */
  readonly height: number
  readonly width: number
}

/** What the UNet takes in bytes, as a function of the latents' size. */
export function unetBytes(
  file: Safetensors,
  { root, modelChannels }: UnetConfig,
): (size: UnetSize) => number {
  const fixedBytes = castBytes(file, root)
  const bytesPerCell = modelChannels * FLOAT_BYTES * UNET_TENSORS
  return ({ batch, height, width }) => fixedBytes + batch * height * width * bytesPerCell
}

/** Of the larger of both halves for a latent of `height` x `width`. */
export function autoencoderBytes(
  { encoder = [], decoder = [], downscale }: VaeConfig,
  { height, width }: { readonly height: number; readonly width: number },
): number {
  const outermost = [encoder[0], decoder.at(-1), decoder.at(-2)]
  const channels = Math.max(...outermost.map((layer) => layer?.channels ?? 1))
  const pixels = height * width * downscale * downscale
  return pixels * channels * FLOAT_BYTES * VAE_TENSORS
}

export function textEncoderBytes(
  file: Safetensors,
  { root, innerWidth, positions }: ClipConfig,
  chunks: number,
): number {
  return castBytes(file, root) + chunks * positions * innerWidth * FLOAT_BYTES * CLIP_TENSORS
}

/** Asked for at every use of a network, and the same as long as its file is. */
const knownCastBytes = new WeakMap<Safetensors, Map<string, number>>()

/** What casting the weights below `root` takes while a network runs. */
function castBytes(file: Safetensors, root: string): number {
  const known = knownCastBytes.get(file) ?? new Map<string, number>()
  knownCastBytes.set(file, known)
  const bytes = known.get(root) ?? countCastBytes(file, root)
  known.set(root, bytes)
  return bytes
}

function countCastBytes({ tensors }: Safetensors, root: string): number {
  let elements = 0
  for (const [name, { dtype, shape }] of tensors) {
    if (dtype === 'F32' || !name.startsWith(root)) continue
    elements += shape.reduce((product, side) => product * side, 1)
  }
  return elements * FLOAT_BYTES * CAST_SHARE
}

/**
 * Anonymous memory of this process in bytes: what it took and the system cannot take
 * back, unlike mapped weights. Only Linux says; undefined elsewhere.
 */
export function anonymousBytes(): number | undefined {
  if (process.platform !== 'linux') return undefined
  const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
}
