import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import type { NodeContext } from '../../../../src/executors/native/node.ts'
import { imageFileNodes } from '../../../../src/executors/native/nodes/image-files.ts'
import type { Tensor } from '../../../../src/executors/native/values.ts'
import { ModelFolders } from '../../../../src/models/folders.ts'
import { idleContext } from './node-goldens.ts'

const rows = new Map(imageFileNodes.map((row) => [row.name, row]))
const loadImage = rows.get('LoadImage')!
const loadMask = rows.get('LoadImageMask')!

const raw = { width: 2, height: 1, channels: 4 as const }
const png = await sharp(Uint8Array.of(255, 0, 51, 255, 0, 102, 0, 51), { raw })
  .png()
  .toBuffer()

/** Folders with two.png, and the same in a subfolder and among the results. */
function foldersOf(root: string): ModelFolders {
  const folder = (...names: string[]): string => {
    const path = join(root, ...names)
    mkdirSync(path, { recursive: true })
    return path
  }
  writeFileSync(join(folder('input'), 'two.png'), png)
  writeFileSync(join(folder('input'), 'notes.txt'), 'not a picture')
  writeFileSync(join(folder('input', 'sub'), 'deep.png'), png)
  writeFileSync(join(folder('output'), 'result.png'), png)
  return new ModelFolders({
    models: { checkpoints: [], loras: [], vae: [], embeddings: [] },
    input: folder('input'),
    output: folder('output'),
    temp: folder('temp'),
  })
}

function contextOf(folders: ModelFolders): NodeContext {
  return { ...idleContext, folders }
}

t.test('LoadImage hands out colours and what is transparent', async (t) => {
  const context = contextOf(foldersOf(t.testdir()))
  for (const image of ['two.png', 'sub/deep.png', 'sub\\deep.png', 'result.png [output]']) {
    const [picture, mask] = (await loadImage.run({ image }, context)).outputs as [Tensor, Tensor]
    t.same(picture.shape, [1, 1, 2, 3], image)
    t.same([...picture.data], [1, 0, Math.fround(0.2), 0, Math.fround(0.4), 0])
    t.same([...mask.data], [0, Math.fround(0.8)])
  }
})

t.test('LoadImageMask hands out one channel', async (t) => {
  const context = contextOf(foldersOf(t.testdir()))
  const wanted = { red: [1, 0], green: [0, 0.4], blue: [0.2, 0], alpha: [0, 0.8] }
  for (const [channel, values] of Object.entries(wanted)) {
    const { outputs } = await loadMask.run({ image: 'two.png', channel }, context)
    t.same(outputs, [{ data: Float32Array.from(values), shape: [1, 1, 2] }], channel)
  }
})

t.test('files are offered, judged and told apart', async (t) => {
  const root = t.testdir()
  const folders = foldersOf(root)
  const lists = { models: () => [], inputFiles: () => folders.inputFiles() }
  for (const row of [loadImage, loadMask]) {
    t.same(row.definition(lists).input.required!.image![0], ['two.png'])
    t.same(row.validation!.inputs, ['image'])
    const check = (image: string) => row.validation!.check({ image }, folders)
    for (const name of ['two.png', 'sub/deep.png', 'result.png [output]']) {
      t.equal(await check(name), undefined)
    }
    for (const name of ['nope.png', '../output/result.png', 'sub', '', 'result.png']) {
      t.equal(await check(name), `Invalid image file: ${name}`)
    }
    const before = await row.fingerprint!({ image: 'two.png' }, folders)
    t.equal(before, createHash('sha256').update(png).digest('hex'))
    writeFileSync(join(root, 'input', 'two.png'), Buffer.concat([png, Buffer.from('x')]))
    t.not(await row.fingerprint!({ image: 'two.png' }, folders), before)
    writeFileSync(join(root, 'input', 'two.png'), png)
    t.not(await row.fingerprint!({}, folders), await row.fingerprint!({}, folders))
  }
})

t.test('a file that is gone, and one that is no picture', async (t) => {
  const context = contextOf(foldersOf(t.testdir()))
  await t.rejects(loadImage.run({ image: 'gone.png' }, context), { code: 'not_found' })
  const malformed = { code: 'malformed_file', message: /^notes\.txt cannot be read/ }
  await t.rejects(loadImage.run({ image: 'notes.txt' }, context), malformed)
})

t.test(
  'SaveImage and PreviewImage hand out a file for every picture, and the pictures',
  async (t) => {
    const images = { data: Float32Array.from([1, 1, 1, 0, 0.5, 0]), shape: [2, 1, 1, 3] }
    const saved = await rows.get('SaveImage')!.run({ images, filename_prefix: 'a/b' }, idleContext)
    const shown = await rows.get('PreviewImage')!.run({ images }, idleContext)
    for (const [{ outputs, pictures }, folder, filenamePrefix] of [
      [saved, 'output', 'a/b'],
      [shown, 'temp', 'ComfyUI'],
    ] as const) {
      t.same(outputs, [images])
      t.match(pictures, [
        { folder, filenamePrefix, batchIndex: 0, mediaType: 'image/png', width: 1, height: 1 },
        { folder, filenamePrefix, batchIndex: 1 },
      ])
      const second = await sharp(pictures![1]!.bytes).raw().toBuffer()
      t.same([...second], [0, 127, 0])
    }
  },
)
