/** `4.2 GB`, `512 MB`, `16 kB`: memory as people count it, a GB being 2^30 bytes. Pure. */
export function byteSize(bytes: number): string {
  const gigabytes = bytes / 2 ** 30
  if (gigabytes >= 1) return `${gigabytes.toFixed(gigabytes < 10 ? 1 : 0)} GB`
  if (bytes < 2 ** 20) return `${Math.ceil(bytes / 2 ** 10)} kB`
  return `${Math.round(bytes / 2 ** 20)} MB`
}
