/**
 * Remembers what nodes returned, by their signature, so that a prompt that differs
 * in its seed alone encodes no text twice. Bounded in bytes; the least used goes first.
 */
import type { NodeShow } from './node.ts'

/** What a node returned, and what it ignored meanwhile: the result lacks it wherever it is used again. */
export interface KnownShow extends NodeShow {
  readonly warnings?: readonly string[]
}

export interface OutputCache {
  get(signature: string): KnownShow | undefined
  set(signature: string, show: KnownShow): void
}

export function createOutputCache(maxBytes: number): OutputCache {
  /** Insertion order is order of use: a read moves its entry to the end. */
  const entries = new Map<string, { readonly show: KnownShow; readonly bytes: number }>()
  let totalBytes = 0

  function remove(signature: string): void {
    totalBytes -= entries.get(signature)?.bytes ?? 0
    entries.delete(signature)
  }

  return {
    get: (signature) => {
      const entry = entries.get(signature)
      if (entry === undefined) return undefined
      entries.delete(signature)
      entries.set(signature, entry)
      return entry.show
    },
    set: (signature, show) => {
      const bytes = sizeOf(show)
      if (bytes > maxBytes) return
      remove(signature)
      entries.set(signature, { show, bytes })
      totalBytes += bytes
      for (const oldest of entries.keys()) {
        if (totalBytes <= maxBytes) break
        remove(oldest)
      }
    },
  }
}

/** A value without typed arrays is small; this is what its objects weigh, roughly. */
const BASE_BYTES = 100

/** Bytes of all typed arrays and strings within a value. */
function sizeOf(value: unknown): number {
  if (ArrayBuffer.isView(value)) return BASE_BYTES + value.byteLength
  if (typeof value === 'string') return BASE_BYTES + 2 * value.length
  if (typeof value !== 'object' || value === null) return BASE_BYTES
  return Object.values(value).reduce((sum: number, part) => sum + sizeOf(part), BASE_BYTES)
}
