/** How long browsers may keep an answer, as ComfyUI tells them; pure. */

const SECONDS_PER_HOUR = 3600
const SECONDS_PER_DAY = 24 * SECONDS_PER_HOUR

/**
 * The `Cache-Control` of an answer that names none itself, or undefined.
 * @param path of the request, without its query.
 */
export function cacheControl(path: string, status: number): string | undefined {
  // A frontend's parts only fit each other: none may be older than the rest.
  if (/\.(js|css)$|\/index[^/]*\.json$/.test(path)) return 'no-store'
  if (!/\.(jpe?g|png|ppm|bmp|pgm|tiff?|webp)$/i.test(path)) return undefined
  if (status === 404) return `public, max-age=${SECONDS_PER_HOUR}`
  return status >= 200 && status < 300 ? `public, max-age=${SECONDS_PER_DAY}` : undefined
}
