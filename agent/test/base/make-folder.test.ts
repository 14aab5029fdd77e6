import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../../src/base/make-folder.ts'

t.test('a folder and those above it', async (t) => {
  const path = join(t.testdir(), 'a', 'b', 'c')
  makeFolder(path)
  makeFolder(path)
  t.ok(existsSync(path))
})

t.test('what cannot be made is told', async (t) => {
  const file = join(t.testdir(), 'file')
  writeFileSync(file, '')
  t.throws(() => makeFolder(join(file, 'below')), { code: 'ENOTDIR' })
})

const skip = process.platform === 'linux' ? false : 'there is no /proc'
t.test('below /proc, where Node itself would try for ever', { skip }, async (t) => {
  t.throws(() => makeFolder('/proc/comfymesh/data'), /mkdir '\/proc\/comfymesh'/)
})
