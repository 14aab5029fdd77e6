import { join } from 'node:path'
import { type JobState, nothingRan } from '@comfymesh/protocol/job'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { Level } from 'level'
import t from 'tap'
import { openDatabase } from '../../src/store/database.ts'
import { openJobStore } from '../../src/store/jobs.ts'

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
  t.equal(await raw.get('schemaVersion'), '4')
  await raw.put('schemaVersion', '99')
  await raw.close()
  await t.rejects(openDatabase(dataDir), { code: 'storage_failed', message: /newer comfymesh/ })
  await t.rejects(openDatabase(dataDir), /newer comfymesh/, 'and it was closed again')
})

t.test('a data folder of schema 1', async (t) => {
  const dataDir = t.testdir()
  const old = new Level<string, string>(join(dataDir, 'database'))
  const ran = finishedJob('ran', 5)
  const { startedAtMs: _, ...cancelled } = finishedJob('cancelled', 6)
  await old.batch([
    { type: 'put', key: 'schemaVersion', value: '1' },
    { type: 'put', key: 'history/000000000000005/ran', value: '' },
    { type: 'put', key: 'history/000000000000006/cancelled', value: 'never began' },
    { type: 'put', key: 'history/000000000000007/lost', value: '' },
    { type: 'put', key: 'job/ran', value: stringifyJson(ran) },
    { type: 'put', key: 'job/cancelled', value: stringifyJson(cancelled) },
  ])
  await old.close()
  const database = await openDatabase(dataDir)
  t.teardown(() => database.close())
  const began = 'finished/000000000000005/000000000000001/000000000000002/interrupted/ran'
  const unbegun = 'finished/000000000000006/000000000000001//interrupted/cancelled'
  t.strictSame(
    await database.keys().all(),
    [began, unbegun, 'job/cancelled', 'job/ran', 'schemaVersion'],
    'each has a summary; what has no state is forgotten',
  )
  t.equal(await database.get('schemaVersion'), '4')
  const summary = parseJson((await database.get(began))!)
  t.match(summary, { id: 'ran', finishedAtMs: 5, prompt: { seed: '18446744073709551615' } })
})

function finishedJob(id: string, finishedAtMs: number): JobState {
  const prompt = { 1: { class_type: 'TN_Seed', inputs: { seed: 18446744073709551615n } } }
  const request = { id, number: 1, prompt, extraData: {}, outputs: ['1'], createdAtMs: 1 }
  const nothing = { ...nothingRan, outputs: {}, named: {} }
  return { request, status: 'interrupted', startedAtMs: 2, finishedAtMs, ...nothing }
}

t.test('a data folder of schema 3', async (t) => {
  const dataDir = t.testdir()
  const old = new Level<string, string>(join(dataDir, 'database'))
  const { request } = finishedJob('tried', 5)
  const { earlierPlans: _plans, attempts: _attempts, ...alone } = finishedJob('ran', 5)
  const stages = [{ stageId: 's', peerId: 'p', sessionMs: 1, elapsedMs: 2 }]
  const events = [{ type: 'accepted', request }, { type: 'retried' }, { type: 'started' }]
  await old.batch([
    { type: 'put', key: 'schemaVersion', value: '3' },
    { type: 'put', key: 'job/ran', value: stringifyJson({ ...alone, stages } as never) },
    ...events.map((event, index) => ({
      type: 'put' as const,
      key: `event/tried/0000000${index}`,
      value: stringifyJson({ jobId: 'tried', atMs: index, ...event } as never),
    })),
  ])
  await old.put('event/damaged/00000000', '{"type":"retr')
  await old.close()
  const database = await openDatabase(dataDir)
  t.teardown(() => database.close())
  const warnings: string[] = []
  const store = await openJobStore(database, (message) => warnings.push(message))
  t.match(await store.unfinished(), [{ status: 'running', startedAtMs: 2, attempts: [] }])
  t.match(warnings, [/damaged/])
  const whole = { ...stages[0], attemptId: '', transferBytes: 0, values: [] }
  t.match(await store.finished('ran'), { attempts: [], earlierPlans: [], stages: [whole] })
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

t.test('a database that was closed stays closed', async (t) => {
  const database = await openDatabase(t.testdir())
  await database.close()
  const late = database.write([{ type: 'put', key: 'key', value: 'late' }], { what: 'Job 7' })
  await t.rejects(late, {
    code: 'storage_failed',
    message: 'Job 7 was not written to disk: the database is closed, because the agent stops.',
  })
  const again = database.write([{ type: 'put', key: 'key', value: 'late' }], { what: 'Job 7' })
  await t.rejects(again, { code: 'storage_failed' })
  t.equal(database.status, 'closed')
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
