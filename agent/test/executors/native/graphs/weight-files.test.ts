import { posix, win32 } from 'node:path'
import t from 'tap'
import { driveRoot, weightsLocation } from '../../../../src/executors/native/graphs/weight-files.ts'

t.test('one root on POSIX', async (t) => {
  const folder = driveRoot('/models/sd.safetensors', posix)
  t.equal(folder, '/')
  t.equal(weightsLocation(folder, '/models/sd.safetensors', posix), 'models/sd.safetensors')
  t.equal(weightsLocation(folder, '/mnt/a b/l.safetensors', posix), 'mnt/a b/l.safetensors')
})

t.test('files outside of a folder have no place in it', async (t) => {
  t.equal(weightsLocation('/models', '/models/sub/l.safetensors', posix), 'sub/l.safetensors')
  t.equal(weightsLocation('/models', '/models/..odd/l.safetensors', posix), '..odd/l.safetensors')
  t.equal(weightsLocation('/models', '/models2/l.safetensors', posix), undefined)
  t.equal(weightsLocation('/models', '/l.safetensors', posix), undefined)
})

t.test('a root a drive on Windows', async (t) => {
  const folder = driveRoot('D:\\models\\sd.safetensors', win32)
  t.equal(folder, 'D:\\')
  t.equal(weightsLocation(folder, 'D:\\models\\sd.safetensors', win32), 'models/sd.safetensors')
  t.equal(weightsLocation(folder, 'C:\\loras\\l.safetensors', win32), undefined)
  const share = driveRoot('\\\\server\\share\\sd.safetensors', win32)
  t.equal(
    weightsLocation(share, '\\\\server\\share\\sub\\l.safetensors', win32),
    'sub/l.safetensors',
  )
  t.equal(weightsLocation(share, 'C:\\loras\\l.safetensors', win32), undefined)
})
