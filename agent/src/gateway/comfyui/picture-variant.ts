/** A picture re-encoded for showing: smaller, or one of its channels. */
import { readFile } from 'node:fs/promises'
import type { Sharp } from 'sharp'
import { loadSharp } from '../../executors/native/image/sharp.ts'
import { withPictures } from './pictures.ts'

export interface PictureVariant {
  readonly bytes: Uint8Array
  readonly mediaType: string
}

/** ComfyUI's default for `preview=webp` and `preview=jpeg` without a quality. */
const DEFAULT_QUALITY = 90

/**
 * What `preview=webp|jpeg[;quality]` or `channel=rgb|a` of GET /view ask for; undefined
 * where neither does, so that the file itself is the answer.
 */
export async function pictureVariant(
  path: string,
  query: URLSearchParams,
): Promise<PictureVariant | undefined> {
  const preview = query.get('preview')
  const channel = query.get('channel') ?? ''
  if (preview === null && channel !== 'rgb' && channel !== 'a') return undefined
  return withPictures(async (open) => {
    // Its bytes, not its path: libvips keeps files open by name, and shows an old picture for a new.
    const picture = open(await readFile(path))
    if (preview !== null) return previewOf(picture, preview, channel)
    const chosen = channel === 'rgb' ? picture.removeAlpha() : await alphaOf(picture)
    return { bytes: await chosen.png().toBuffer(), mediaType: 'image/png' }
  })
}

async function previewOf(
  picture: Sharp,
  preview: string,
  channel: string,
): Promise<PictureVariant> {
  const [format, given] = preview.split(';')
  const quality = /^\d+$/.test(given ?? '')
    ? Math.min(100, Math.max(1, Number(given)))
    : DEFAULT_QUALITY
  // JPEG has no alpha, so whoever asks for one gets WebP.
  if (format === 'jpeg' && !channel.includes('a'))
    return {
      bytes: await picture.removeAlpha().jpeg({ quality }).toBuffer(),
      mediaType: 'image/jpeg',
    }
  return { bytes: await picture.webp({ quality }).toBuffer(), mediaType: 'image/webp' }
}

/** The alpha channel over black, as mask editors expect it. */
async function alphaOf(picture: Sharp): Promise<Sharp> {
  const sharp = await loadSharp()
  const { data, info } = await picture
    .ensureAlpha()
    .extractChannel('alpha')
    .raw()
    .toBuffer({ resolveWithObject: true })
  const { width, height } = info
  const black = { width, height, channels: 3, background: 'black' } as const
  return sharp({ create: black }).joinChannel(data, { raw: { width, height, channels: 1 } })
}
