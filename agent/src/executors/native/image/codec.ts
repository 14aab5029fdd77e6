/**
 * Picture files to tensors and back. sharp does the work; bmp.ts reads the one
 * common format that sharp does not. Text inside PNG files is base/png-text.ts's.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Metadata } from 'sharp'
import type { Picture } from '../../executor.ts'
import { zeros } from '../array/tensor.ts'
import type { Image, Mask } from '../values.ts'
import { decodeBmp } from './bmp.ts'
import { type PictureFormat, pictureFormat } from './format.ts'
import { batchEntry, dimensionsOf, toBytes } from './pixels.ts'
import { loadSharp } from './sharp.ts'

/** All frames together; Pillow's limit against decompression bombs. */
const MAX_PIXELS = 178_956_970

/** What the files of readable formats are called. */
export const pictureExtensions = [
  ...['.png', '.jpg', '.jpeg', '.jpe', '.webp', '.gif'],
  ...['.bmp', '.tif', '.tiff', '.avif'],
] as const

/** The formats whose frames become a batch; of others, the first page counts. */
const animatedFormats: readonly PictureFormat[] = ['gif', 'webp']

/** Pixels as a decoder hands them out: `channels` values after one another, frame after frame. */
export interface DecodedPixels {
  readonly values: Uint8Array | Uint16Array
  readonly frames: number
  readonly height: number
  readonly width: number
  /** Grey, grey and alpha, RGB, or RGB and alpha. */
  readonly channels: number
  /** Whether there is a mask to speak of, even if `channels` has no alpha. */
  readonly masked: boolean
}

export interface LoadedPicture {
  /** [frames, height, width, 3] */
  readonly image: Image
  /** 1 where the picture is transparent; [frames, 64, 64] of zeros where it has no alpha. */
  readonly mask: Mask
}

/**
 * A picture file as ComfyUI's LoadImage reads it: turned upright, colours as they are
 * stored (no profile applied), 16 bits kept, the frames of an animation as a batch.
 * @param name for the error message.
 * @throws MeshError `malformed_file` for what is no picture, is broken, or is too large.
 */
export async function decodePicture(bytes: Uint8Array, name: string): Promise<LoadedPicture> {
  const format = pictureFormat(bytes)
  if (format === undefined) throw malformed(name, 'it is of no known format')
  try {
    return toTensors(format === 'bmp' ? decodeBmp(bytes, MAX_PIXELS) : await decode(bytes, format))
  } catch (cause) {
    throw malformed(name, reasonOf(cause), cause)
  }
}

function malformed(name: string, reason: string, cause?: unknown): MeshError {
  const remedy = 'Save it as PNG, JPEG, WebP, GIF, TIFF, AVIF or BMP.'
  const message = `${name} cannot be read as a picture: ${reason}. ${remedy}`
  return new MeshError('malformed_file', message, { cause })
}

/** sharp's words in one line, and our own where its are of no help. */
function reasonOf(cause: unknown): string {
  const words = cause instanceof Error ? cause.message : String(cause)
  if (/pixel limit/.test(words)) return `it has more than ${MAX_PIXELS} pixels; scale it down`
  return words.replace(/\s+/g, ' ').replace(/[\s:]+$/, '')
}

async function decode(bytes: Uint8Array, format: PictureFormat): Promise<DecodedPixels> {
  const sharp = await loadSharp()
  const limits = { limitInputPixels: MAX_PIXELS, failOn: 'error', ignoreIcc: true } as const
  const metadata = await sharp(bytes, limits).metadata()
  const animated = animatedFormats.includes(format) && (metadata.pages ?? 1) > 1
  const deep = metadata.depth === 'ushort'
  const { data, info } = await sharp(bytes, { ...limits, animated, autoOrient: !animated })
    .toColourspace(deep ? 'rgb16' : 'srgb')
    .raw({ depth: deep ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true })
  const height = (animated ? (metadata.pageHeight ?? info.pageHeight) : undefined) ?? info.height
  return {
    values: deep ? new Uint16Array(new Uint8Array(data).buffer) : data,
    frames: info.height / height,
    height,
    width: info.width,
    channels: info.channels,
    masked: hasMask(metadata),
  }
}

/** ComfyUI counts every palette as one with transparency. */
function hasMask(metadata: Metadata): boolean {
  return metadata.hasAlpha || metadata.isPalette
}

function toTensors(pixels: DecodedPixels): LoadedPicture {
  const { values, frames, height, width, channels } = pixels
  const most = values instanceof Uint16Array ? 65535 : 255
  const grey = channels < 3
  const withAlpha = channels % 2 === 0
  const count = frames * height * width
  const colours = new Float32Array(count * 3)
  const mask = pixels.masked ? zeros([frames, height, width]) : zeros([frames, 64, 64])
  for (let i = 0; i < count; i++) {
    const from = i * channels
    for (let c = 0; c < 3; c++) colours[i * 3 + c] = values[from + (grey ? 0 : c)]! / most
    if (withAlpha) mask.data[i] = 1 - values[from + channels - 1]! / most
  }
  return { image: { data: colours, shape: [frames, height, width, 3] }, mask }
}

/** The picture at a position of a batch as an 8-bit PNG file. @param level of zlib, 0 to 9. */
export async function encodePng(image: Image, index: number, level: number): Promise<Picture> {
  const { height, width, channels } = dimensionsOf(image)
  const sharp = await loadSharp()
  const raw = { width, height, channels: channels as 1 | 2 | 3 | 4 }
  const bytes = await sharp(toBytes(batchEntry(image, index).data), { raw })
    .png({ compressionLevel: level, adaptiveFiltering: true })
    .toBuffer()
  return { bytes, mediaType: 'image/png', width, height }
}
