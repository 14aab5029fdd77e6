/** A picture with a mask drawn in a mask editor laid into it. */

import { insertPngText, type PngText, readPngText } from '../../base/png-text.ts'
import { loadSharp } from '../../executors/native/image/sharp.ts'
import { type OpenPicture, withPictures } from './pictures.ts'

/**
 * The original's colours with the alpha of the upload, as PNG; the texts of the original
 * (prompt and workflow) stay in it.
 * @throws Error when either is no picture, or when they differ in size.
 */
export function withAlphaOf(mask: Uint8Array, original: Uint8Array): Promise<Uint8Array> {
  return withPictures((open) => joined(open, mask, original))
}

async function joined(
  open: OpenPicture,
  mask: Uint8Array,
  original: Uint8Array,
): Promise<Uint8Array> {
  const sharp = await loadSharp()
  const alpha = await open(mask)
    .ensureAlpha()
    .extractChannel('alpha')
    .raw()
    .toBuffer({ resolveWithObject: true })
  const { width, height } = alpha.info
  const colours = open(original).toColourspace('srgb').removeAlpha()
  const { data, info } = await colours.raw().toBuffer({ resolveWithObject: true })
  if (info.width !== width || info.height !== height) {
    throw new Error(`a mask of ${width}x${height} for a picture of ${info.width}x${info.height}`)
  }
  const size = { width, height }
  const picture = await sharp(data, { raw: { ...size, channels: info.channels } })
    .joinChannel(alpha.data, { raw: { ...size, channels: 1 } })
    .png({ compressionLevel: 4 })
    .toBuffer()
  return insertPngText(picture, textsOf(original))
}

/** Other formats than PNG carry none that are known here. */
function textsOf(picture: Uint8Array): PngText[] {
  try {
    return readPngText(picture)
  } catch {
    return []
  }
}
