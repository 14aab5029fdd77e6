import { join } from 'node:path'
import { Level } from 'level'
import t from 'tap'
import { openDatabase } from '../../src/store/database.ts'

t.test('a data folder belongs to one agent at a time', async (t) => {
  const dataDir = join(t.testdir(), 'not', 'there yet')
  const first = await openDatabase(dataDir)
  await t.rejects(openDatabase(dataDir), {
    code: 'storage_failed',
    message: `Another comfymesh agent is using the data folder ${dataDir}. Stop it, or start this one with another --data-dir.`,
  })
  await first.put('a', 'b')
  await first.close()
  const second = await openDatabase(dataDir)
  t.equal(await second.get('a'), 'b')
  await second.close()
})

t.test('a database of a newer comfymesh is left alone', async (t) => {
  const dataDir = t.testdir()
  await (await openDatabase(dataDir)).close()
  const raw = new Level<string, string>(join(dataDir, 'database'))
  t.equal(await raw.get('schemaVersion'), '2')
  await raw.put('schemaVersion', '99')
  await raw.close()
  await t.rejects(openDatabase(dataDir), { code: 'storage_failed', message: /newer comfymesh/ })
  await t.rejects(openDatabase(dataDir), /newer comfymesh/, 'and it was closed again')
})

t.test('a data folder of schema 1', async (t) => {
  const dataDir = t.testdir()
  const old = new Level<string, string>(join(dataDir, 'database'))
  const began = 'history/000000000000005/ran'
  const unbegan = 'history/000000000000006/cancelled'
  await old.batch([
    { type: 'put', key: 'schemaVersion', value: '1' },
    { type: 'put', key: began, value: '' },
    { type: 'put', key: unbegan, value: 'never began' },
  ])
  await old.close()
  const database = await openDatabase(dataDir)
  t.teardown(() => database.close())
  t.strictSame(await database.keys().all(), [
    began,
    'schemaVersion',
    'unbegun/000000000000006/cancelled',
  ])
  t.equal(await database.get('schemaVersion'), '2')
})

t.test('after a write that failed the database is opened anew before the next', async (t) => {
  const dataDir = t.testdir()
  const database = await openDatabase(dataDir)
  t.teardown(() => database.close())
  const { batch } = database
  const full = async () => {
    throw new Error('No space left on device')
  }
  const opened: string[] = []
  database.on('open', () => opened.push('open'))
  const put = (value: string) =>
    database.write([{ type: 'put', key: 'key', value }], { what: 'The key' })
  await put('before')
  Object.assign(database, { batch: full })
  await t.rejects(put('during'), {
    code: 'storage_failed',
    message:
      'The key could not be written to disk: No space left on device. Free some space, or check the disk of the data folder.',
  })
  t.equal(await database.get('key'), 'before', 'it can be read meanwhile')
  t.strictSame(opened, [])
  Object.assign(database, { batch })
  await Promise.all([put('after'), put('after')])
  t.strictSame(opened, ['open'], 'once')
  t.equal(await database.get('key'), 'after')
})

t.test('a folder that cannot be', async (t) => {
  const dataDir = join(t.testdir({ file: 'x' }), 'file')
  await t.rejects(openDatabase(dataDir), { code: 'storage_failed', message: /cannot be opened/ })
})

const skip = process.platform === 'linux' ? false : 'there is no /proc'
t.test('a data folder that cannot be made', { skip }, async (t) => {
  for (const dataDir of ['/proc/comfymesh', '/proc'])
    await t.rejects(openDatabase(dataDir), { code: 'storage_failed', message: /cannot be opened/ })
})
