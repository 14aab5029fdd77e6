/**
 * Reads uncompressed Windows bitmaps with 1 to 8 bits of palette, 24 or 32 bits.
 * Format: https://learn.microsoft.com/windows/win32/gdi/bitmap-storage
 */
import type { DecodedPixels } from './codec.ts'

const FILE_HEADER_BYTES = 14

interface BmpHeader {
  readonly headerBytes: number
  readonly pixelsAt: number
  readonly width: number
  readonly height: number
  /** Rows run from the bottom to the top unless the height is written negative. */
  readonly topDown: boolean
  readonly bits: number
}

/** @throws Error saying what is wrong with the file. */
export function decodeBmp(bytes: Uint8Array, maxPixels: number): DecodedPixels {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const header = readHeader(view)
  const { width, height, bits, pixelsAt, topDown } = header
  if (width * height > maxPixels) throw new Error('it exceeds the pixel limit')
  const rowBytes = Math.ceil((width * bits) / 32) * 4
  if (pixelsAt + rowBytes * height > bytes.length) throw new Error('it is cut off')
  const values = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) {
    const row = pixelsAt + (topDown ? y : height - 1 - y) * rowBytes
    for (let x = 0; x < width; x++) {
      const from = bits > 8 ? row + (x * bits) / 8 : paletteEntry(bytes, header, row, x)
      for (let c = 0; c < 3; c++) values[(y * width + x) * 3 + c] = bytes[from + 2 - c] ?? 0
    }
  }
  return { values, frames: 1, height, width, channels: 3, masked: bits <= 8 }
}

function readHeader(view: DataView): BmpHeader {
  if (view.byteLength < FILE_HEADER_BYTES + 40) throw new Error('it is cut off')
  const headerBytes = view.getUint32(FILE_HEADER_BYTES, true)
  const height = view.getInt32(22, true)
  const header = {
    headerBytes,
    pixelsAt: view.getUint32(10, true),
    width: view.getInt32(18, true),
    height: Math.abs(height),
    topDown: height < 0,
    bits: view.getUint16(28, true),
  }
  const compression = view.getUint32(30, true)
  const plain = headerBytes >= 40 && (compression === 0 || compression === 3)
  if (!plain || ![1, 4, 8, 24, 32].includes(header.bits)) {
    throw new Error('it is a bitmap of a compressed or uncommon kind')
  }
  if (header.width < 1 || header.height < 1) throw new Error('it has no pixels')
  return header
}

/** Where the colour of a pixel of a row stands: blue, green, red, unused. */
function paletteEntry(bytes: Uint8Array, header: BmpHeader, row: number, x: number): number {
  const { bits } = header
  const perByte = 8 / bits
  const packed = bytes[row + Math.floor(x / perByte)]!
  const index = (packed >> (8 - bits * ((x % perByte) + 1))) & ((1 << bits) - 1)
  return FILE_HEADER_BYTES + header.headerBytes + index * 4
}
