/** ComfyUI's rules for the names of saved files. */
import t from 'tap'
import { fileName, nextCounter, saveTarget } from '../../src/execution/file-names.ts'

const at = new Date(2026, 0, 5, 7, 8, 9)
const target = (filenamePrefix: string) =>
  saveTarget({ filenamePrefix, width: 512, height: 768 }, '/out', at)

t.test('prefixes', async (t) => {
  const cases: [prefix: string, subfolder: string, basename: string][] = [
    ['ComfyUI', '', 'ComfyUI'],
    ['a/b/c', 'a/b', 'c'],
    ['a\\b', 'a', 'b'],
    ['a/', '', 'a'],
    ['a//./b', 'a', 'b'],
    ['a/../b', '', 'b'],
    ['', '', '.'],
    ['%width%x%height%', '', '512x768'],
    ['%year%-%month%-%day%/%hour%%minute%%second%', '2026-01-05', '070809'],
    ['%date:yyyy%', '', '%date:yyyy%'],
    ['%batch_num%', '', '%batch_num%'],
    ['%unknown%', '', '%unknown%'],
    ['%constructor%', '', '%constructor%'],
  ]
  for (const [prefix, subfolder, basename] of cases)
    t.strictSame(target(prefix), { subfolder, basename }, prefix || 'empty')
})

t.test('a prefix does not leave the folder', async (t) => {
  for (const prefix of ['../x', 'a/../../x', '/x', '\\x', 'C:\\x', 'C:x', '..', 'a\0b'])
    t.throws(
      () => target(prefix),
      { code: 'node_failed', message: /outside the output folder/ },
      prefix,
    )
})

t.test('names', async (t) => {
  t.equal(fileName({ subfolder: '', basename: 'a' }, 0, 1, 'png'), 'a_00001_.png')
  t.equal(fileName({ subfolder: '', basename: 'a' }, 0, 123456, 'png'), 'a_123456_.png')
  t.equal(fileName({ subfolder: '', basename: 'b%batch_num%' }, 2, 7, 'jpg'), 'b2_00007_.jpg')
  t.equal(fileName({ subfolder: '', basename: '.' }, 0, 1, 'png'), '._00001_.png')
})

t.test('counters', async (t) => {
  t.equal(nextCounter([], 'gap', false), 1)
  t.equal(nextCounter(['gap_00003_.png', 'gap_00001_.png'], 'gap', false), 4)
  t.equal(nextCounter(['gap_12.png'], 'gap', false), 13, 'without the second underscore')
  t.equal(nextCounter(['gap_extra_00099_.png', 'gap_x.png', 'other_7_.png'], 'gap', false), 1)
  t.equal(nextCounter(['GAP_00005_.png'], 'gap', false), 1)
  t.equal(nextCounter(['GAP_00005_.png'], 'gap', true), 6, 'where case does not count')
})

t.test('counters among very many or very odd names', async (t) => {
  const many = Array.from({ length: 300_000 }, (_, index) => `a_${index}_.png`)
  t.equal(nextCounter(many, 'a', false), 300_000)
  t.equal(nextCounter(['a_99999999999999999999_.png', 'a_00002_.png'], 'a', false), 3)
})
