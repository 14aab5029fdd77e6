/**
 * The way to sharp: loaded on first use, because the agent process imports the
 * node rows for their definitions only and must stay small.
 */

export type Sharp = typeof import('sharp').default

let loading: Promise<Sharp> | undefined

/** sharp, loaded once. Its operation cache is off: files change under the same name. */
export function loadSharp(): Promise<Sharp> {
  loading ??= import('sharp').then(({ default: sharp }) => {
    sharp.cache(false)
    // Should a file look like a picture to us and like markup to libvips.
    sharp.block({ operation: ['VipsForeignLoadSvg'] })
    return sharp
  })
  return loading
}
