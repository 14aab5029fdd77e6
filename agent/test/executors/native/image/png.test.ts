/** PNG files, read back by sharp. */
import { createHash } from 'node:crypto'
import sharp from 'sharp'
import t from 'tap'
import { encodePixels } from '../../../../src/executors/native/image/png.ts'

/** Bytes of all values, the same each time. */
function someBytes(length: number): Uint8Array {
  return createHash('shake256', { outputLength: length }).update('pixels').digest()
}

/** As sharp hands pixels out: grey as three equal colours. */
function inColours(pixels: Uint8Array, channels: number): number[] {
  if (channels > 2) return [...pixels]
  const isAlpha = (index: number) => index % channels === 1
  return Array.from(pixels).flatMap((value, i) => (isAlpha(i) ? [value] : [value, value, value]))
}

t.test('every number of channels and every corner of a picture', async (t) => {
  for (const channels of [1, 2, 3, 4]) {
    for (const [width, height] of [
      [1, 1],
      [5, 1],
      [1, 4],
      [7, 6],
    ] as const) {
      const pixels = someBytes(width * height * channels)
      const picture = sharp(encodePixels(pixels, { width, height, channels }), {
        failOn: 'warning',
      })
      const { width: w, height: h, channels: c, depth } = await picture.metadata()
      t.same([w, h, c, depth], [width, height, channels, 'uchar'])
      const read = await picture.raw().toBuffer()
      t.same([...read], inColours(pixels, channels), `${channels} channels, ${width}x${height}`)
    }
  }
  t.throws(() => encodePixels(someBytes(5), { width: 1, height: 1, channels: 5 }), RangeError)
})

t.test('more than zlib hands out at a time, and next to nothing for one colour', async (t) => {
  const size = { width: 400, height: 400, channels: 3 }
  const noise = someBytes(400 * 400 * 3)
  t.ok((await sharp(encodePixels(noise, size)).raw().toBuffer()).equals(noise))
  t.ok(encodePixels(new Uint8Array(400 * 400 * 3).fill(90), size).length < 2000)
})
