/** What every PNG file is made of. Specification: https://www.w3.org/TR/png-3/#5DataRep */
import { crc32 } from 'node:zlib'

/** How every PNG file begins. */
export const pngSignature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10)

/** A chunk of a PNG file: the length of its parts together, its type, they and their checksum. */
export function pngChunk(type: string, parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), ...parts])
  const chunk = Buffer.alloc(body.length + 8)
  chunk.writeUInt32BE(body.length - 4)
  chunk.set(body, 4)
  chunk.writeUInt32BE(crc32(body), body.length + 4)
  return chunk
}
