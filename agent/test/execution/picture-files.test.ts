import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { NamedPicture } from '@comfymesh/protocol/job'
import t, { type Test } from 'tap'
import { readPngText } from '../../src/base/png-text.ts'
import { createPictureFiles, type SavingRecord } from '../../src/execution/picture-files.ts'
import { pythonJson } from '../../src/execution/python-json.ts'
import { removePartialFiles, replaceFile, writeNewFile } from '../../src/execution/whole-file.ts'
import type { SavedPicture } from '../../src/executors/executor.ts'
import { tinyPng } from '../fake-executor.ts'

const texts = [
  ['prompt', '{"1": {}}'],
  ['note', 'ü'],
] as const
const picture = (more: Partial<SavedPicture> = {}): SavedPicture => ({
  bytes: tinyPng(),
  mediaType: 'image/png',
  width: 1,
  height: 1,
  folder: 'output',
  filenamePrefix: 'ComfyUI',
  batchIndex: 0,
  ...more,
})

/** For pictures of jobs that never crashed. */
const unrecorded: SavingRecord = { named: [], name: async () => {} }

function setUp(t: Test) {
  const root = t.testdir()
  const folders = { output: join(root, 'output'), temp: join(root, 'temp') }
  return { ...folders, files: createPictureFiles({}, { folders }) }
}

t.test('pictures are saved with their prompt, beside those that are there', async (t) => {
  const { files, output } = setUp(t)
  mkdirSync(output)
  writeFileSync(join(output, 'ComfyUI_00041_.png'), 'mine')
  const saved = await files.save([picture(), picture({ batchIndex: 1 })], texts, unrecorded)
  t.strictSame(
    saved.map(({ filename }) => filename),
    ['ComfyUI_00042_.png', 'ComfyUI_00043_.png'],
  )
  t.equal(readFileSync(join(output, 'ComfyUI_00041_.png'), 'utf8'), 'mine')
  t.strictSame(readPngText(readFileSync(join(output, 'ComfyUI_00042_.png'))), texts)
  t.strictSame(readdirSync(output).length, 3, 'no half-written file is left')
})

t.test('a name that hides its counter overwrites nothing', async (t) => {
  const { files, output } = setUp(t)
  const two = [0, 1].map((batchIndex) => picture({ filenamePrefix: 'b%batch_num%', batchIndex }))
  for (let round = 0; round < 2; round++) await files.save(two, texts, unrecorded)
  t.strictSame(readdirSync(output).sort(), [
    'b0_00001_.png',
    'b0_00002_.png',
    'b1_00002_.png',
    'b1_00003_.png',
  ])
})

t.test('many at once, each under its own name', async (t) => {
  const { files, output } = setUp(t)
  await Promise.all(Array.from({ length: 20 }, () => files.save([picture()], texts, unrecorded)))
  t.equal(readdirSync(output).length, 20)
})

t.test('previews go to the temp folder, which is emptied', async (t) => {
  const { files, temp } = setUp(t)
  const [saved] = await files.save([picture({ folder: 'temp' })], texts, unrecorded)
  t.match(saved!.filename, /^ComfyUI_temp_[a-z]{5}_00001_\.png$/)
  t.equal(saved!.type, 'temp')
  const output = { images: [{ ...saved! }] }
  t.equal(await files.exist(output), true)
  await files.clearTemp()
  t.strictSame(readdirSync(temp), [])
  t.equal(await files.exist(output), false)
  t.equal(await files.exist({ text: ['x'] }), true, 'what speaks of no file has none to miss')
})

t.test('only a folder called temp is ever emptied', async (t) => {
  const root = t.testdir({ precious: { 'a.png': 'x' } })
  const folders = { output: join(root, 'output'), temp: join(root, 'precious') }
  await createPictureFiles({}, { folders }).clearTemp()
  t.ok(existsSync(join(root, 'precious', 'a.png')))
})

t.test('a prefix that leaves the folder, and a folder that cannot be written', async (t) => {
  const { files, output } = setUp(t)
  await t.rejects(files.save([picture({ filenamePrefix: '../x' })], texts, unrecorded), {
    code: 'node_failed',
  })
  writeFileSync(output, 'a file in the way')
  await t.rejects(files.save([picture()], texts, unrecorded), {
    code: 'storage_failed',
    message: /could not be saved/,
  })
})

t.test('what a former attempt saved is not saved again', async (t) => {
  const { files, output } = setUp(t)
  const told: NamedPicture[] = []
  const two = [picture(), picture({ batchIndex: 1 })]
  const name: SavingRecord['name'] = async (index, named) => {
    const path = join(output, named.file.filename)
    t.notOk(existsSync(path), 'it is named before it appears')
    told[index] = named
  }
  const saved = await files.save(two, texts, { named: [], name })
  t.strictSame(await files.save(two, texts, { named: told, name }), saved)
  t.strictSame(readdirSync(output), ['ComfyUI_00001_.png', 'ComfyUI_00002_.png'])

  writeFileSync(join(output, 'ComfyUI_00002_.png'), 'of somebody else')
  const [first, second] = await files.save(two, texts, { named: told, name })
  t.equal(first?.filename, 'ComfyUI_00001_.png')
  t.equal(second?.filename, 'ComfyUI_00003_.png', 'another file has taken its name')
  rmSync(join(output, 'ComfyUI_00001_.png'))
  const [again] = await files.save(two, texts, { named: told, name })
  t.ok(existsSync(join(output, again!.filename)), 'it had not appeared yet')
})

t.test('files appear whole or not at all', async (t) => {
  const path = join(t.testdir(), 'deep', 'a.bin')
  t.equal(await writeNewFile(path, Buffer.from('one')), true)
  t.equal(await writeNewFile(path, Buffer.from('two')), false, 'not over another')
  t.equal(readFileSync(path, 'utf8'), 'one')
  await replaceFile(path, Buffer.from('three'))
  t.equal(readFileSync(path, 'utf8'), 'three')
  t.strictSame(readdirSync(join(path, '..')), ['a.bin'])
})

t.test('what a crash left half-written is removed, what is being written is not', async (t) => {
  const folder = t.testdir({ sub: {} })
  const name = '.comfymesh-9e9a6c1e-0000-4000-8000-000000000000.part'
  const [old, fresh] = [join(folder, 'sub', name), join(folder, name)]
  for (const path of [old, fresh]) writeFileSync(path, 'x')
  utimesSync(old, new Date(0), new Date(0))
  await removePartialFiles(folder)
  t.notOk(existsSync(old))
  t.ok(existsSync(fresh))
})

t.test('what a former run of the same agent left is removed at once', async (t) => {
  const uuid = '9e9a6c1e-0000-4000-8000-000000000000'
  const name = (owner: string, run: string) => `.comfymesh-${owner}.${run}.${uuid}.part`
  const [ours, now, theirs] = [name('us', 'before'), name('us', 'now'), name('them', 'before')]
  const folder = t.testdir({ [ours]: '', [now]: '', [theirs]: '' })
  await removePartialFiles(folder, { owner: 'us', run: 'now' })
  t.strictSame(readdirSync(folder).toSorted(), [theirs, now].toSorted())
})

t.test("JSON as Python's json.dumps writes it", async (t) => {
  t.equal(
    pythonJson({ a: [1, 2.5, 1e-7, 1e22, null, true], 'ü\n"': '\u{1f600}\u007f' }),
    '{"a": [1, 2.5, 1e-07, 1e+22, null, true], "\\u00fc\\n\\"": "\\ud83d\\ude00\\u007f"}',
  )
})
