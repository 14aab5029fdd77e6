/** What Python's `int`, `float`, `str` and `bool` would make of a constant; the rest is in validate.test.ts. */
import type { JsonValue } from '@comfymesh/protocol/json'
import t from 'tap'
import { coerce } from '../../src/planning/coerce.ts'

t.test('floats', async (t) => {
  for (const [text, value] of [
    ['1', 1],
    [' 1.5 ', 1.5],
    ['1.', 1],
    ['.5', 0.5],
    ['1_000.2_5', 1000.25],
    ['-1e-3', -0.001],
    ['1.e2', 100],
  ] as const)
    t.equal(coerce(text, 'FLOAT'), value, text)
  for (const text of ['', '.', '1..2', '1_', '_1', '1e', '0x1', '1 2'])
    t.throws(() => coerce(text, 'FLOAT'), /could not convert string to float/, text)
})

t.test('numbers that JSON cannot write are refused', async (t) => {
  const infinite: JsonValue = JSON.parse('1e400')
  for (const value of [infinite, '1e400', 'inf', '-Infinity', 'nan', 10n ** 400n])
    t.throws(() => coerce(value, 'FLOAT'), /not a finite number/, String(value).slice(0, 20))
  t.throws(() => coerce(infinite, 'INT'), /not a finite number/)
})

t.test('long texts that are no numbers are refused at once', async (t) => {
  const startedAtMs = performance.now()
  for (const type of ['FLOAT', 'INT']) {
    t.throws(() => coerce(`${'1'.repeat(100_000)}x`, type), /convert|digits/)
    t.throws(() => coerce(`${'1_1'.repeat(100_000)}x`, type), /convert|digits/)
  }
  t.throws(() => coerce('1'.repeat(1_000_000), 'INT'), /4300 digits/)
  t.ok(performance.now() - startedAtMs < 10_000)
})
