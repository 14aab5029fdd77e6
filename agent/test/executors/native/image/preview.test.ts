import sharp from 'sharp'
import t from 'tap'
import { encodePreview } from '../../../../src/executors/native/image/preview.ts'

t.test('a latent-size picture becomes a 512 px JPEG', async (t) => {
  const data = new Float32Array(2 * 80 * 40 * 3)
  for (let i = 0; i < 80 * 40; i++) data[i * 3] = 1
  const preview = await encodePreview({ data, shape: [2, 80, 40, 3] })
  t.equal(preview.mediaType, 'image/jpeg')
  t.same([preview.width, preview.height], [256, 512])
  const decoded = await sharp(preview.bytes).raw().toBuffer({ resolveWithObject: true })
  t.same([decoded.info.width, decoded.info.height], [256, 512])
  const [red, green, blue] = decoded.data
  t.ok(red! > 245 && green! < 10 && blue! < 10, 'the first of the batch, in its colours')
})

t.test('a preview is no larger than the picture to come', async (t) => {
  const preview = await encodePreview({ data: new Float32Array(8 * 4 * 3), shape: [1, 8, 4, 3] })
  t.same([preview.width, preview.height], [32, 64])
})

t.test('a large picture shrinks', async (t) => {
  const preview = await encodePreview({
    data: new Float32Array(700 * 1400 * 3),
    shape: [1, 700, 1400, 3],
  })
  t.same([preview.width, preview.height], [512, 256])
})
