/** Which entries of a batch the ...FromBatch nodes mean. */

/** A run of at least one entry; negative indices count from the end, and all is clamped. */
export function batchRange(
  batch: number,
  index: number,
  length: number,
): { readonly start: number; readonly length: number } {
  const wanted = index < 0 ? index + batch : index
  const start = Math.min(Math.max(wanted, 0), batch - 1)
  return { start, length: Math.min(length, batch - start) }
}
