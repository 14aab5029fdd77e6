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

t.test('a folder that cannot be', async (t) => {
  const dataDir = join(t.testdir({ file: 'x' }), 'file')
  await t.rejects(openDatabase(dataDir), { code: 'storage_failed', message: /cannot be opened/ })
})

const skip = process.platform === 'linux' ? false : 'there is no /proc'
t.test('a data folder that cannot be made', { skip }, async (t) => {
  for (const dataDir of ['/proc/comfymesh', '/proc'])
    await t.rejects(openDatabase(dataDir), { code: 'storage_failed', message: /cannot be opened/ })
})
