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

t.test('numbers that are not finite', async (t) => {
  const infinite: JsonValue = JSON.parse('1e400')
  for (const [value, number] of [
    [infinite, Number.POSITIVE_INFINITY],
    ['1e400', Number.POSITIVE_INFINITY],
    ['inf', Number.POSITIVE_INFINITY],
    ['+Infinity', Number.POSITIVE_INFINITY],
    [' -inf ', Number.NEGATIVE_INFINITY],
  ] as const)
    t.equal(coerce(value, 'FLOAT'), number, String(value))
  t.ok(Number.isNaN(coerce('NaN', 'FLOAT')))
  t.throws(() => coerce(10n ** 400n, 'FLOAT'), { message: 'int too large to convert to float' })
  t.throws(() => coerce(infinite, 'INT'), { message: 'cannot convert float infinity to integer' })
  t.throws(() => coerce(Number.NaN, 'INT'), { message: 'cannot convert float NaN to integer' })
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
