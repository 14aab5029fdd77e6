import { chmodSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { containedPath, ModelFolders, modelKinds } from '../../src/models/folders.ts'

const root = t.testdir({
  first: {
    'b.safetensors': 'first',
    'A.safetensors': '',
    'old.ckpt': '',
    'short.sft': '',
    '.hidden.safetensors': '',
    sub: { 'deep.safetensors': '', deeper: { 'x.safetensors': '' } },
  },
  second: { 'b.safetensors': 'second', 'c.safetensors': '' },
  input: { 'picture.png': '', pasted: { 'image.png': '' } },
  output: { 'made.png': '' },
  temp: { 'preview.png': '' },
  'outside.safetensors': '',
})
const at = (...parts: string[]) => join(root, ...parts)

const folders = new ModelFolders({
  models: { checkpoints: [at('first'), at('absent'), at('second')] },
  input: at('input'),
  output: at('output'),
  temp: at('temp'),
})

t.test('models are listed once, sorted, with forward slashes; pickles are not', async (t) => {
  t.strictSame(folders.list('checkpoints'), [
    'A.safetensors',
    'b.safetensors',
    'c.safetensors',
    'short.sft',
    'sub/deep.safetensors',
    'sub/deeper/x.safetensors',
  ])
  t.strictSame(folders.list('loras'), [], 'a kind without folders')
})

t.test('the first folder wins', async (t) => {
  t.equal(folders.find('checkpoints', 'b.safetensors'), at('first', 'b.safetensors'))
  t.equal(folders.find('checkpoints', 'c.safetensors'), at('second', 'c.safetensors'))
})

t.test('both separators name one model', async (t) => {
  for (const name of ['sub/deeper/x.safetensors', 'sub\\deeper\\x.safetensors']) {
    t.equal(folders.find('checkpoints', name), at('first', 'sub', 'deeper', 'x.safetensors'))
  }
})

t.test('nothing but model files is found', async (t) => {
  for (const name of ['old.ckpt', 'sub', 'absent.safetensors', '']) {
    t.equal(folders.find('checkpoints', name), undefined, name)
  }
})

t.test('no name leaves its folder', async (t) => {
  const escapes = [
    '../outside.safetensors',
    '..\\outside.safetensors',
    'sub/../../outside.safetensors',
    'sub/.. /../outside.safetensors',
    at('outside.safetensors'),
    'C:\\outside.safetensors',
    'C:outside.safetensors',
    '\\\\server\\share\\outside.safetensors',
    '/etc/passwd',
    'a.safetensors\0.png',
    '',
    '.',
    '...',
  ]
  for (const name of escapes) t.equal(containedPath(at('first'), name), undefined, encodeURI(name))
  t.equal(
    containedPath(at('first'), 'a..b/..c.png'),
    at('first', 'a..b', '..c.png'),
    'dots in names',
  )
  t.equal(containedPath(at('first'), './sub//deep'), at('first', 'sub', 'deep'))
})

t.test('what Windows makes of names', async (t) => {
  const on = (name: string) => containedPath('C:\\in', name, 'win32')
  t.equal(on('a/b.png'), 'C:\\in\\a\\b.png')
  t.equal(on('a\\b c.png'), 'C:\\in\\a\\b c.png')
  const devices = ['CON', 'nul', 'aux.png', 'COM1', 'lpt9.txt', 'com¹', 'CONIN$', 'a/prn/b']
  const streams = ['a.png:hidden', 'a.png::$DATA', 'a:b/c']
  const dropped = ['a.png.', 'a.png ', 'a. /b', 'a/... ', '.. /b', '..\\b', 'a\\..\\..\\b']
  const rooted = ['C:a', 'C:\\in\\a', 'D:/a', '\\\\server\\share\\a', '\\\\?\\C:\\a', '\\a', '/a']
  for (const name of [...devices, ...streams, ...dropped, ...rooted, 'a*', 'a?', 'a\nb', 'a\0'])
    t.equal(on(name), undefined, JSON.stringify(name))
  for (const name of ['console.png', 'com10', 'nullify', 'a.b.c', '.hidden', 'com.png'])
    t.ok(on(name), name)
  t.ok(containedPath('/in', 'ab: c?.png', 'linux'), 'elsewhere they are names')
})

t.test('input files, and those of other folders by annotation', async (t) => {
  t.strictSame(folders.inputFiles(), ['pasted/image.png', 'picture.png'])
  t.equal(folders.findInput('pasted\\image.png'), at('input', 'pasted', 'image.png'))
  t.equal(folders.findInput('made.png [output]'), at('output', 'made.png'))
  t.equal(folders.findInput('preview.png [temp]'), at('temp', 'preview.png'))
  t.equal(folders.findInput('picture.png [input]'), at('input', 'picture.png'))
  t.equal(folders.findInput('../output/made.png'), undefined)
  t.equal(folders.findInput('made.png'), undefined)
})

const onWindows = process.platform === 'win32'

t.test('links are followed, loops are not', { skip: onWindows }, async (t) => {
  mkdirSync(at('links'))
  symlinkSync(at('links'), at('links', 'loop'))
  symlinkSync(at('outside.safetensors'), at('links', 'linked.safetensors'))
  symlinkSync(at('second'), at('links', 'elsewhere'))
  symlinkSync(at('nowhere'), at('links', 'broken.safetensors'))
  const linked = new ModelFolders({ ...folders.settings, models: { loras: [at('links')] } })
  t.strictSame(linked.list('loras'), [
    'elsewhere/b.safetensors',
    'elsewhere/c.safetensors',
    'linked.safetensors',
  ])
})

const readsAll = onWindows || process.getuid?.() === 0

t.test('an unreadable folder does not hide the others', { skip: readsAll }, async (t) => {
  mkdirSync(at('private'))
  writeFileSync(at('private', 'a.safetensors'), '')
  chmodSync(at('private'), 0)
  const mixed = new ModelFolders({
    ...folders.settings,
    models: { loras: [at('private'), at('second')] },
  })
  t.strictSame(mixed.list('loras'), ['b.safetensors', 'c.safetensors'])
  chmodSync(at('private'), 0o700)
})

t.test("ComfyUI's folder keys are known", async (t) => {
  t.match(modelKinds, { text_encoders: ['text_encoders', 'clip'], controlnet: ['controlnet'] })
})

t.test('names and links that the disk refuses hide nothing else', async (t) => {
  const folder = t.testdir({ 'a.safetensors': '' })
  symlinkSync('loop.safetensors', join(folder, 'loop.safetensors'))
  const settings = { input: folder, output: folder, temp: folder }
  const folders = new ModelFolders({ ...settings, models: { checkpoints: [folder] } })
  t.strictSame(folders.list('checkpoints'), ['a.safetensors'])
  t.equal(folders.find('checkpoints', 'loop.safetensors'), undefined)
  t.equal(folders.find('checkpoints', `${'x'.repeat(5000)}.safetensors`), undefined)
  t.equal(folders.findInput('x'.repeat(5000)), undefined)
})

t.test('a folder that has not changed for long is seen to change', async (t) => {
  const folder = t.testdir({ 'a.safetensors': '', sub: { 'b.safetensors': '' } })
  const old = new Date(Date.now() - 60_000)
  for (const path of [folder, join(folder, 'sub')]) utimesSync(path, old, old)
  const grown = new ModelFolders({ ...folders.settings, models: { loras: [folder] } })
  const list = () => grown.list('loras')
  t.strictSame([list(), list()], Array(2).fill(['a.safetensors', 'sub/b.safetensors']))
  writeFileSync(join(folder, 'sub', 'c.safetensors'), '')
  t.strictSame(list(), ['a.safetensors', 'sub/b.safetensors', 'sub/c.safetensors'])
  rmSync(join(folder, 'sub'), { recursive: true })
  t.strictSame(list(), ['a.safetensors'])
})
