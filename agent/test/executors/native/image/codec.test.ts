import sharp from 'sharp'
import t from 'tap'
import { readPngText } from '../../../../src/base/png-text.ts'
import { decodePicture, encodePng } from '../../../../src/executors/native/image/codec.ts'
import type { Tensor } from '../../../../src/executors/native/values.ts'
import { goldenCases, goldenTensors } from '../../../goldens.ts'

interface FileCase {
  readonly name: string
  readonly most: number
  readonly mean: number
  readonly file: string
}

const stored = goldenTensors('image_files')

/** Rounding to float32, in steps of 8 bits. */
const ROUNDING = 1e-4

for (const { name, most, mean, file } of goldenCases<FileCase>('image_files')) {
  t.test(`${name} is read as ComfyUI reads it`, async (t) => {
    const loaded = await decodePicture(Buffer.from(file, 'base64'), name)
    for (const part of ['image', 'mask'] as const) {
      const wanted = stored(`${name}.${part}`)
      t.same(loaded[part].shape, wanted.shape, `${part}: shape`)
      const steps = loaded[part].data.map((value, i) => Math.abs(value - wanted.data[i]!) * 255)
      const average = steps.reduce((sum, step) => sum + step, 0) / steps.length
      t.ok(Math.max(...steps) <= most + ROUNDING, `${part}: off by ${Math.max(...steps)} at most`)
      t.ok(average <= mean + ROUNDING, `${part}: off by ${average} on average`)
    }
  })
}

t.test('all orientations are turned upright', async (t) => {
  const upright = ['123', '456']
  // How the upright picture is stored under each EXIF orientation.
  const storedAs = {
    1: ['123', '456'],
    2: ['321', '654'],
    3: ['654', '321'],
    4: ['456', '123'],
    5: ['14', '25', '36'],
    6: ['36', '25', '14'],
    7: ['63', '52', '41'],
    8: ['41', '52', '63'],
  }
  for (const [orientation, rows] of Object.entries(storedAs)) {
    const raw = { width: rows[0]!.length, height: rows.length, channels: 3 as const }
    const pixels = Uint8Array.from(
      [...rows.join('')].flatMap((digit) => [0, 0, Number(digit) * 20]),
    )
    const png = await sharp(pixels, { raw })
      .png()
      .withMetadata({ orientation: Number(orientation) })
      .toBuffer()
    const { image } = await decodePicture(png, 'a.png')
    t.same(digitsOf(image), upright, `orientation ${orientation}`)
  }
})

/** The rows of a picture whose blue values are digits times 20. */
function digitsOf({ data, shape }: Tensor): string[] {
  const [, height, width] = shape as [number, number, number]
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) =>
      Math.round((data[(y * width + x) * 3 + 2]! * 255) / 20),
    ).join(''),
  )
}

t.test('what is no picture is refused with its name and a way out', async (t) => {
  const png = await sharp(
    new Uint8Array(64 * 64 * 3).map((_, i) => (i * 7919) % 251),
    {
      raw: { width: 64, height: 64, channels: 3 },
    },
  )
    .png()
    .toBuffer()
  const giant = Buffer.from(png)
  giant.writeUInt32BE(60000, 16)
  giant.writeUInt32BE(60000, 20)
  const bitmap = Buffer.alloc(64)
  bitmap.write('BM')
  bitmap.writeUInt32LE(40, 14)
  bitmap.writeInt32LE(2 ** 31 - 1, 18)
  bitmap.writeInt32LE(2 ** 31 - 1, 22)
  bitmap.writeUInt16LE(24, 28)
  const broken: { readonly [what: string]: Uint8Array } = {
    'nothing at all': new Uint8Array(),
    'a web page': Buffer.from('<!doctype html><title>Sign in</title>'),
    'a drawing': Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    'half a PNG file': png.subarray(0, png.length / 2),
    'a PNG header alone': png.subarray(0, 40),
    'more pixels than anybody needs': giant,
    'a bitmap that lies': bitmap,
    'a bitmap header alone': bitmap.subarray(0, 20),
  }
  for (const [what, bytes] of Object.entries(broken)) {
    await t.rejects(
      decodePicture(bytes, 'cat.png'),
      {
        code: 'malformed_file',
        message: /^cat\.png cannot be read as a picture: .*[^:]\. Save it as PNG/,
      },
      what,
    )
  }
})

t.test('pictures are written as 8-bit PNG, cut off rather than rounded', async (t) => {
  const values = [0, 0.5, 1, 1.7, -3, Number.NaN, 0.999, 0.004, 1 / 255]
  const padding = [0, 0, 0]
  const data = Float32Array.from([...Array<number>(12).fill(1), ...values, ...padding])
  const picture = await encodePng({ data, shape: [2, 2, 2, 3] }, 1, 4)
  t.match(picture, { mediaType: 'image/png', width: 2, height: 2 })
  const decoded = await sharp(picture.bytes).raw().toBuffer()
  t.same([...decoded], [0, 127, 255, 255, 0, 0, 254, 1, 1, ...padding])
  t.same(readPngText(picture.bytes), [], 'and says nothing')
})

t.test('an alpha channel is written too', async (t) => {
  const data = Float32Array.of(1, 0.2, 0, 0.4)
  const { bytes } = await encodePng({ data, shape: [1, 1, 1, 4] }, 0, 1)
  t.same([...(await sharp(bytes).raw().toBuffer())], [255, 51, 0, 102])
})

t.test('a picture of too many pixels is told so, whatever its format', async (t) => {
  const png = await sharp({ create: { width: 9, height: 9, channels: 3, background: 'red' } })
    .png()
    .toBuffer()
  png.writeUInt32BE(20000, 16)
  png.writeUInt32BE(20000, 20)
  const bitmap = Buffer.alloc(64)
  bitmap.write('BM')
  bitmap.writeUInt32LE(40, 14)
  bitmap.writeInt32LE(20000, 18)
  bitmap.writeInt32LE(20000, 22)
  bitmap.writeUInt16LE(24, 28)
  for (const bytes of [png, bitmap]) {
    await t.rejects(decodePicture(bytes, 'a'), {
      message: /more than 178956970 pixels; scale it down/,
    })
  }
})
