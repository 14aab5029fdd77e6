import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { leaveServingRecord, readServingRecord } from '../../src/store/serving-record.ts'

const record = { url: 'http://127.0.0.1:8299', instance: 'one' }

t.test('a record is there until it is taken away', async (t) => {
  const folder = t.testdir()
  t.equal(readServingRecord(folder), undefined)
  const forget = leaveServingRecord(folder, record)
  t.strictSame(readServingRecord(folder), record)
  forget()
  t.equal(readServingRecord(folder), undefined)
  forget()
  t.strictSame(readdirSync(folder), [])
})

t.test('a record replaces the one that a killed agent left', async (t) => {
  const folder = t.testdir()
  leaveServingRecord(folder, record)
  const other = { url: 'http://[::1]:8300', instance: 'two' }
  leaveServingRecord(folder, other)
  t.strictSame(readServingRecord(folder), other)
  t.strictSame(readdirSync(folder), ['serving.json'])
})

t.test('only its owner can write it', { skip: process.platform === 'win32' }, async (t) => {
  const folder = t.testdir()
  leaveServingRecord(folder, record)
  t.equal(statSync(join(folder, 'serving.json')).mode & 0o777, 0o600)
})

t.test('what is no record is none', async (t) => {
  const folder = t.testdir()
  const texts = [
    '',
    '{',
    '[]',
    '{"url":"http://127.0.0.1:1"}',
    '{"url":"file:///x","instance":"a"}',
  ]
  for (const text of texts) {
    writeFileSync(join(folder, 'serving.json'), text)
    t.equal(readServingRecord(folder), undefined, text)
  }
})

t.test('a folder that is not there', async (t) => {
  const folder = join(t.testdir(), 'gone')
  t.throws(() => leaveServingRecord(folder, record), { code: 'storage_failed', message: /--port/ })
})
