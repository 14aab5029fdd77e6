/** Which format a picture is of, whatever its name says. */

export type PictureFormat = 'png' | 'jpeg' | 'webp' | 'gif' | 'bmp' | 'tiff' | 'avif'

/** By the first bytes, so that no parser ever sees a format that is not on the list (SVG, PDF). */
export function pictureFormat(bytes: Uint8Array): PictureFormat | undefined {
  const start = Buffer.from(bytes.subarray(0, 16)).toString('latin1')
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'png'
  if (start.startsWith('\xff\xd8\xff')) return 'jpeg'
  if (start.startsWith('GIF8')) return 'gif'
  if (start.startsWith('RIFF') && start.slice(8, 12) === 'WEBP') return 'webp'
  if (start.startsWith('II*\0') || start.startsWith('MM\0*')) return 'tiff'
  if (/^ftypavi[fs]$/.test(start.slice(4, 12))) return 'avif'
  if (start.startsWith('BM')) return 'bmp'
  return undefined
}
