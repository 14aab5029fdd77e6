import t from 'tap'
import { decodeBmp } from '../../../../src/executors/native/image/bmp.ts'

interface Bitmap {
  readonly width: number
  readonly height: number
  readonly bits: number
  /** Blue, green, red, unused. */
  readonly palette?: readonly number[]
  /** Padded to 4 bytes, as in the file. */
  readonly rows: readonly (readonly number[])[]
}

function encode({ width, height, bits, palette = [], rows }: Bitmap): Uint8Array {
  const header = Buffer.alloc(54)
  header.write('BM')
  header.writeUInt32LE(54 + palette.length, 10)
  header.writeUInt32LE(40, 14)
  header.writeInt32LE(width, 18)
  header.writeInt32LE(height, 22)
  header.writeUInt16LE(bits, 28)
  return Buffer.concat([header, Uint8Array.from(palette), Uint8Array.from(rows.flat())])
}

const blackAndRed = [0, 0, 0, 0, 0, 0, 255, 0]

t.test('two colours, rows from the bottom', async (t) => {
  const rows = [
    [0b01000000, 0, 0, 0],
    [0b10000000, 0, 0, 0],
  ]
  const { values, masked } = decodeBmp(
    encode({ width: 2, height: 2, bits: 1, palette: blackAndRed, rows }),
    100,
  )
  t.same([...values], [255, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0])
  t.equal(masked, true)
})

t.test('sixteen colours, rows from the top', async (t) => {
  const palette = [...blackAndRed, 1, 2, 3, 0]
  const rows = [
    [0x12, 0x00, 0, 0],
    [0x00, 0x20, 0, 0],
  ]
  const { values } = decodeBmp(encode({ width: 3, height: -2, bits: 4, palette, rows }), 100)
  t.same([...values], [255, 0, 0, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 2, 1])
})

t.test('24 and 32 bits', async (t) => {
  const narrow = decodeBmp(encode({ width: 1, height: 1, bits: 24, rows: [[3, 2, 1, 0]] }), 100)
  t.same([...narrow.values], [1, 2, 3])
  t.equal(narrow.masked, false)
  const wide = decodeBmp(encode({ width: 1, height: 1, bits: 32, rows: [[6, 5, 4, 99]] }), 100)
  t.same([...wide.values], [4, 5, 6])
})

t.test('broken ones', async (t) => {
  const sound = { width: 2, height: 2, bits: 24, rows: [Array<number>(16).fill(1)] }
  t.doesNotThrow(() => decodeBmp(encode(sound), 4))
  t.throws(() => decodeBmp(encode(sound), 3), /pixel limit/)
  t.throws(() => decodeBmp(encode({ ...sound, height: 3 }), 100), /cut off/)
  t.throws(() => decodeBmp(encode({ ...sound, width: 0 }), 100), /no pixels/)
  t.throws(() => decodeBmp(encode({ ...sound, bits: 16 }), 100), /uncommon/)
  const compressed = encode(sound)
  compressed[30] = 1
  t.throws(() => decodeBmp(compressed, 100), /compressed/)
})
